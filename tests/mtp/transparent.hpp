// SPDX-License-Identifier: MIT
/// \file
/// A model in which one can see where a token's embedding goes.
#pragma once
#include <cmath>
#include <string>

#include "tests/support/models.hpp"

namespace dsv3::test {

/// A model whose blocks add nothing to the residual stream: h^k = M_k [..] as Eq. (21) prints it. Token t's embedding
/// is the unit vector of channel t.
struct Transparent {
  static constexpr Index V = 12;
  static constexpr double kappa = 4;  // of the head's rows
  ModelConfig config = micro_config();
  ModelWeights<Matrix> p;

  explicit Transparent(Index D) {
    config.V = V;
    config.D = D;
    p = random_weights(config, 3);
    const auto silence = [](BlockWeights<Matrix>& block) {
      block.mla.W_O.setZero();
      block.ffn.shared.W_down.setZero();
      for (auto& expert : block.ffn.experts) expert.W_down.setZero();
    };
    for (auto& block : p.blocks) silence(block);
    for (auto& module : p.mtp) {
      silence(module.block);
      for (RmsNormWeights<Matrix>* norm : {&module.norm_hidden, &module.norm_embedding, &module.norm_out})
        norm->g.setOnes();
    }
    p.norm_final.g.setOnes();
    p.embedding = Matrix::Identity(V, V);
  }

  /// M_k = [I 0] (the hidden state is handed on) or [0 I] (the embedding is).
  void module_hands_on(Index k, const char* half) {
    Matrix& M = p.mtp[k - 1].M;
    M.setZero();
    const bool hidden = std::string(half) == "hidden",
               first = hidden == (config.mtp_order == MtpOrder::hidden_embedding);
    M.middleCols(first ? 0 : V, V).setIdentity();
  }

  /// The head names the token that comes `distance` after the one it sees: its row of token v is the unit vector of
  /// v - distance.
  void head_adds(Index distance) {
    p.head.setZero();
    for (Index v = distance; v < V; ++v) p.head(v, v - distance) = kappa;
  }

  /// Of the sequence 1, 2, ..., T+1.
  Batch batch(Index T) const {
    Batch b{.count = 1, .length = T, .tokens = {}};
    for (Index t = 1; t <= T + 1; ++t) b.tokens.push_back(static_cast<Token>(t));
    return b;
  }
  BatchLoss loss(Index T) const { return Model(config).loss(p, batch(T)); }
};

}  // namespace dsv3::test
