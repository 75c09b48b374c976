// SPDX-License-Identifier: MIT
/// \file
/// One step of training: gradients over the micro-batches, clipping, AdamW, bias update.
#pragma once
#include <stdexcept>

#include "reference/linear/amax_histories.hpp"
#include "reference/model/model.hpp"
#include "reference/training/options.hpp"

namespace dsv3 {

/// What changes from step to step: all that a checkpoint stores.
struct TrainingState {
  ModelWeights<Matrix> weights;  ///< master weights, FP32
  AdamWState optimizer;
  std::vector<LinearAmaxes> amaxes;  ///< of delayed scaling; empty for all other recipes
  Index step = 0;                    ///< steps done
  Index sequences = 0;               ///< sequences seen
};

/// Weights drawn from `options.seed`, zero moments, empty histories of amaxes.
TrainingState initial_state(const TrainingOptions& options);

struct StepReport {
  Index step = 0;         ///< 1 for the first
  Index tokens = 0;       ///< seen so far, this step included
  StepSettings settings;  ///< in force during this step
  BatchLoss loss;
  double gradient_norm = 0;  ///< before clipping
};

/// The `count` sequences after the first `first` ones, T+1 tokens each: a pure function of its arguments.
using BatchSource = std::function<Batch(Index first, Index count)>;

/// A model with the buffers of its training.
class Trainer {
 public:
  /// Throws std::invalid_argument for options that cannot be right.
  explicit Trainer(const TrainingOptions& options);

  /// Changes `state` by one step. The batch is cut into micro-batches whose gradients add up in FP32; every token
  /// weighs 1/tokens of the step, however the batch is cut.
  /// Throws NotFinite where logits of the gate or the gradient norm are not finite, std::invalid_argument for a batch
  /// of another size than asked for, and what `batches` throws; the state is then as before and the next step starts
  /// from zero gradients.
  StepReport step(TrainingState& state, const BatchSource& batches);

  const Model& model() const { return model_; }

 private:
  /// Adds up the gradients of the step's micro-batches.
  BatchLoss accumulate(const TrainingState& state, const BatchSource& batches, const StepSettings& now,
                       AmaxHistories& histories);

  TrainingOptions options_;
  Model model_;
  ModelWeights<Matrix> gradients_;
  bool gradients_are_zero_ = true;
};

/// MaxVio = max load / mean load - 1, section 4.5.3's measure, the mean over the layers.
double mean_max_vio(const std::vector<std::vector<Index>>& load);

}  // namespace dsv3
