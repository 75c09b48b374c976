// SPDX-License-Identifier: MIT
/// \file
/// A whole model as numbers: the published configurations and the small ones that train here.
#pragma once
#include <string>
#include <vector>

#include "reference/mla/config.hpp"
#include "reference/moe/config.hpp"

namespace dsv3 {

/// Order of the two halves that M_k of Eq. (21) reads: as the report prints it, or as the released weights have it.
enum class MtpOrder { hidden_embedding, embedding_hidden };

struct ModelConfig {
  Index V = 0;                 ///< vocabulary
  Index L = 0;                 ///< transformer layers
  Index num_dense_layers = 0;  ///< of these, the first ones without routed experts
  Index d_dense = 0;           ///< width of their FFN
  MlaConfig mla;
  MoeConfig moe;  ///< of the other layers and of the MTP modules
  Index D = 0;    ///< MTP depth
  MtpOrder mtp_order = MtpOrder::hidden_embedding;
  bool mtp_reads_normed = true;  ///< h^0 is the main representation after (true) or before its final norm
  double eps = 1e-6;             ///< of every RMSNorm
  double init_std = 0.006;       ///< of every matrix, section 4.2

  Index d() const { return mla.d; }
  /// The FFN of layer `layer`: dense layers are MoE layers without routed experts.
  MoeConfig ffn(Index layer) const;
  friend bool operator==(const ModelConfig&, const ModelConfig&) = default;
};

/// Bounds on every configuration, several times what is published: the longest side of a matrix, the layers with the
/// MTP modules, the routed experts of all of them together. Within them no number of values or bytes overflows an
/// Index, and the shapes of a model take a few megabytes.
inline constexpr Index max_side = Index{1} << 20, max_layers = Index{1} << 12, max_experts = Index{1} << 17;

/// The rules of all parts (validate of MlaConfig, RopeConfig, MoeConfig and GateConfig among them) and of the whole.
/// Throws std::invalid_argument naming the first field that cannot be right and what it needs.
void validate(const ModelConfig& config);

/// "v3", "v2", "v2-lite" or one of the small ones ("tiny", ...). Throws naming those there are.
ModelConfig config_by_name(const std::string& name);
std::vector<std::string> config_names();

}  // namespace dsv3
