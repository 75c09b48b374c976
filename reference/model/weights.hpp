// SPDX-License-Identifier: MIT
/// \file
/// All tensors of a model, as one structure that serves weights, gradients, moments and shapes.
#pragma once
#include <string>
#include <tuple>
#include <vector>

#include "reference/core/parameters.hpp"
#include "reference/mla/weights.hpp"
#include "reference/model/config.hpp"
#include "reference/moe/moe.hpp"
#include "reference/norm/rms_norm.hpp"

namespace dsv3 {

/// One transformer block: x += MLA(RMSNorm(x)); x += FFN(RMSNorm(x)).
template <class Tensor>
struct BlockWeights {
  RmsNormWeights<Tensor> norm_attention;
  MlaWeights<Tensor> mla;
  RmsNormWeights<Tensor> norm_ffn;
  MoeWeights<Tensor> ffn;

  template <class Other>
  void match(const BlockWeights<Other>& other) {
    ffn.match(other.ffn);
  }
  template <class F, class... W>
  static void visit(const std::string& prefix, F&& f, W&... w) {
    RmsNormWeights<Tensor>::visit(prefix + "norm_attention.", f, w.norm_attention...);
    MlaWeights<Tensor>::visit(prefix + "mla.", f, w.mla...);
    RmsNormWeights<Tensor>::visit(prefix + "norm_ffn.", f, w.norm_ffn...);
    MoeWeights<Tensor>::visit(prefix + "ffn.", f, w.ffn...);
  }
};

/// MTP module k: M_k, its two input norms, TRM_k and the norm before the shared head, Eqs. (21) to (23).
template <class Tensor>
struct MtpWeights {
  RmsNormWeights<Tensor> norm_hidden, norm_embedding;
  Tensor M;  ///< [d, 2d]
  BlockWeights<Tensor> block;
  RmsNormWeights<Tensor> norm_out;

  template <class Other>
  void match(const MtpWeights<Other>& other) {
    block.match(other.block);
  }
  template <class F, class... W>
  static void visit(const std::string& prefix, F&& f, W&... w) {
    RmsNormWeights<Tensor>::visit(prefix + "norm_hidden.", f, w.norm_hidden...);
    RmsNormWeights<Tensor>::visit(prefix + "norm_embedding.", f, w.norm_embedding...);
    f(Role::weight, prefix + "M", w.M...);
    BlockWeights<Tensor>::visit(prefix + "block.", f, w.block...);
    RmsNormWeights<Tensor>::visit(prefix + "norm_out.", f, w.norm_out...);
  }
};

template <class Tensor>
struct ModelWeights {
  Tensor embedding;  ///< [V, d], shared with the MTP modules
  std::vector<BlockWeights<Tensor>> blocks;
  RmsNormWeights<Tensor> norm_final;
  Tensor head;  ///< [V, d], shared with the MTP modules
  std::vector<MtpWeights<Tensor>> mtp;

  template <class Other>
  void match(const ModelWeights<Other>& other) {
    blocks.resize(other.blocks.size());
    mtp.resize(other.mtp.size());
    for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i].match(other.blocks[i]);
    for (std::size_t k = 0; k < mtp.size(); ++k) mtp[k].match(other.mtp[k]);
  }
  template <class F, class... W>
  static void visit(const std::string& prefix, F&& f, W&... w) {
    const auto& first = std::get<0>(std::forward_as_tuple(w...));
    f(Role::weight, prefix + "embedding", w.embedding...);
    for (std::size_t i = 0; i < first.blocks.size(); ++i)
      BlockWeights<Tensor>::visit(prefix + "blocks." + std::to_string(i) + ".", f, w.blocks[i]...);
    RmsNormWeights<Tensor>::visit(prefix + "norm_final.", f, w.norm_final...);
    f(Role::weight, prefix + "head", w.head...);
    for (std::size_t k = 0; k < first.mtp.size(); ++k)
      MtpWeights<Tensor>::visit(prefix + "mtp." + std::to_string(k + 1) + ".", f, w.mtp[k]...);
  }
};

/// The shapes of every tensor of `config`; throws what validate() throws.
ModelWeights<Shape> shapes(const ModelConfig& config);

/// N(0, init_std^2) matrices, gains 1, bias 0 (section 4.2; the report says nothing about gains and bias). Each tensor
/// draws from a stream of its own, so the values of one do not depend on which others exist.
ModelWeights<Matrix> initial_weights(const ModelConfig& config, std::uint64_t seed);

/// Parameter counts straight from the shapes.
struct ParameterCounts {
  Index total = 0;      ///< embedding and head included, MTP not
  Index active = 0;     ///< touched by one token: K_r of N_r experts; the head but not the embedding look-up
  Index embedding = 0;  ///< = head
  Index mtp = 0;        ///< the MTP modules' own, without the shared embedding and head
};
ParameterCounts count_parameters(const ModelConfig& config);

/// Bytes of latent cache per token over all layers, with `bytes_per_value` (2: BF16), section 2.1.1.
Index cache_bytes_per_token(const ModelConfig& config, Index bytes_per_value = 2);

}  // namespace dsv3
