// SPDX-License-Identifier: MIT
/// \file
/// The whole model for training: loss and gradients of a batch, section 2.
#pragma once
#include <vector>

#include "reference/model/block.hpp"
#include "reference/model/embedding.hpp"
#include "reference/mtp/mtp.hpp"

namespace dsv3 {

/// `count` sequences of `length`+1 tokens, one after the other: position i reads token i and predicts token i+1.
struct Batch {
  Index count = 0, length = 0;
  std::vector<Token> tokens;

  /// Tokens first .. first+n-1 of every sequence, in one list.
  std::vector<Token> slice(Index first, Index n) const;
};

/// What is minimised: weight * (sum of main losses + lambda/D * sum of MTP losses) + balance losses.
/// With weight = 1/(tokens of the step) that is L_main + lambda/D sum_k L^k_MTP + L_Bal, Eqs. (17), (24), (25).
struct Objective {
  double weight = 1;
  double lambda = 0;
  BalanceLoss balance;  ///< of every MoE layer, MTP modules included; summed over the layers (the report does not say)
};

/// Sums over a batch; those of several micro-batches add up.
struct BatchLoss {
  double main_sum = 0;  ///< -log P over `tokens` targets
  Index tokens = 0;
  std::vector<double> mtp_sum;           ///< per module, over T-k targets a sequence
  double balance = 0;                    ///< L_Bal times its weight, over all layers
  std::size_t activation_bytes = 0;      ///< what F kept for B; of several batches the largest
  std::size_t temporary_bytes = 0;       ///< the most that one block deferred to W (in fp8 with the matrices that the
                                         ///< codes are made of), or one chunk of logits took
  std::vector<std::vector<Index>> load;  ///< tokens per expert, for each MoE layer in order, then each MTP module

  double main_loss() const { return main_sum / static_cast<double>(tokens); }
  /// Eq. (24) as printed: module k has T-k targets but the sum is divided by T.
  double mtp_loss(std::size_t k) const { return mtp_sum[k] / static_cast<double>(tokens); }
  void add(const BatchLoss& other);
};

/// The layers of a configuration as values; the weights come with each call.
struct Model {
  ModelConfig config;
  std::vector<Block> blocks;
  std::vector<Mtp> mtp;
  RmsNorm norm;

  explicit Model(const ModelConfig& config);

  /// Loss of a batch without gradients. Throws std::invalid_argument for a batch that does not fit the model.
  BatchLoss loss(const ModelWeights<Matrix>& p, const Batch& batch, const Precision& precision = Precision::fp32) const;

  /// Loss of a batch; adds the gradient of `objective` to `grads`. Bits do not depend on the number of threads.
  BatchLoss loss_and_gradients(const ModelWeights<Matrix>& p, ModelWeights<Matrix>& grads, const Batch& batch,
                               const Objective& objective, const Precision& precision = Precision::fp32) const;
};

/// b_i of every MoE layer and MTP module moved by gamma against its load of the step, section 2.1.2.
void update_biases(ModelWeights<Matrix>& p, const std::vector<std::vector<Index>>& load, double gamma);

}  // namespace dsv3
