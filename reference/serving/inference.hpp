// SPDX-License-Identifier: MIT
/// \file
/// The forward pass for inference: latent caches instead of stored activations, weights from any source.
#pragma once
#include <vector>

#include "reference/mla/absorbed.hpp"
#include "reference/model/model.hpp"
#include "reference/serving/weight_source.hpp"

namespace dsv3 {

/// How the attention reads the cache, section 1.3 of the V2 paper: expanding it (naive) or with W_UK and W_UV absorbed
/// into the query and the output. Equal in exact arithmetic.
enum class AttentionForm { naive, absorbed };

/// One sequence on its way through the model: what it has cached in each layer.
struct SequenceState {
  std::vector<LatentCache> caches;  ///< one per layer
  Index length = 0;                 ///< tokens seen
};

class Inference {
 public:
  /// Throws what validate() throws. Routed experts not in a block are taken from `source.expert`.
  Inference(const ModelConfig& config, WeightSource source, Precision precision = Precision::fp32, Tap tap = {});

  const ModelConfig& config() const { return model_.config; }
  SequenceState start() const;

  /// Feeds `tokens` after those `state` has seen; returns RMSNorm(h), one row for each of them, [n, d].
  /// Throws std::invalid_argument where the sequence would grow beyond the longest position the model has or `state` is
  /// not from start(), and what the source throws. After any of these the sequence is where it was.
  /// Shown to the tap, of the new tokens: layers.I. what Mla shows, c_KV_hat, what Moe shows, norm_attention.out,
  /// x_prime (after attention), norm_ffn.out, ffn.out, out;
  /// norm_final.out.
  Matrix extend(SequenceState& state, std::span<const Token> tokens, AttentionForm form) const;

  /// Logits of already normalised rows, [n, V]; the head is asked for in pieces.
  Matrix logits(const Matrix& h) const;

  /// Logits of MTP module k = 1 .. D for every k at once: element k-1 is [T-k, V], row i predicting token i+k+1 of a
  /// sequence of T tokens whose main representations after (`h`) the final norm are given.
  /// Throws std::invalid_argument if the model reads the representation before its final norm (mtp_reads_normed false),
  /// and unless `h` has a row for each token and there are more than D.
  std::vector<Matrix> mtp_logits(const Matrix& h, std::span<const Token> tokens) const;

 private:
  Context context(const std::string& prefix) const;
  Matrix run_block(const Block& block, const BlockWeights<Matrix>& p, Index layer, const Matrix& x, LatentCache& cache,
                   AttentionForm form, const Context& context) const;

  Model model_;
  WeightSource source_;
  Precision precision_;
  Tap tap_;
};

}  // namespace dsv3
