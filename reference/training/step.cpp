// SPDX-License-Identifier: MIT
#include "reference/training/step.hpp"

#include <cmath>
#include <utility>

#include "reference/core/require.hpp"
#include "reference/moe/balance.hpp"
#include "reference/optim/clip.hpp"

namespace dsv3 {

TrainingState initial_state(const TrainingOptions& options) {
  TrainingState state{.weights = initial_weights(options.config, options.seed), .optimizer = {}, .amaxes = {}};
  state.optimizer = adamw_state(tensors_of(state.weights), options.adamw.moments);
  state.amaxes = empty_amaxes(tensors_of(state.weights), options.precision.recipe);
  return state;
}

Trainer::Trainer(const TrainingOptions& options)
    : options_(options), model_(options.config), gradients_(zeros(shapes(options.config))) {
  validate(options);
}

BatchLoss Trainer::accumulate(const TrainingState& state, const BatchSource& batches, const StepSettings& now,
                              AmaxHistories& histories) {
  const Index T = options_.sequence_length;
  if (!std::exchange(gradients_are_zero_, false))  // the last step threw
    for (const NamedTensor& gradient : tensors_of(gradients_)) gradient.value->setZero();
  Objective objective{.weight = 1.0 / static_cast<double>(now.sequences * T),
                      .lambda = now.mtp_lambda,
                      .balance = {.alpha = options_.balance_alpha, .scope = options_.balance_scope}};
  Precision precision = options_.precision;
  precision.recipe.histories = &histories;
  BatchLoss loss;
  for (Index first = 0; first < now.sequences; first += options_.micro_batch) {
    const Index count = std::min(options_.micro_batch, now.sequences - first);
    const Batch batch = batches(state.sequences + first, count);
    require(batch.count == count && batch.length == T, "train", "the text gave ", batch.count, " sequences of ",
            batch.length, " tokens; ", count, " of ", T, " were asked for");
    const double share = options_.balance_scope == BalanceScope::sequence ? 1 : static_cast<double>(count);
    objective.balance.weight = share / static_cast<double>(now.sequences);
    loss.add(model_.loss_and_gradients(state.weights, gradients_, batch, objective, precision));
  }
  return loss;
}

StepReport Trainer::step(TrainingState& state, const BatchSource& batches) {
  const Index T = options_.sequence_length;
  StepReport report{.step = state.step + 1,
                    .tokens = 0,
                    .settings = settings(options_.schedules, state.step + 1, state.sequences * T),
                    .loss = {}};
  const std::vector<NamedTensor> weights = tensors_of(state.weights), gradients = tensors_of(gradients_);
  AmaxHistories histories;
  if (options_.precision.recipe.scaling == Scaling::delayed) histories = {state.amaxes, weights, gradients};
  report.loss = accumulate(state, batches, report.settings, histories);
  report.gradient_norm = global_norm(gradients);
  if (!std::isfinite(report.gradient_norm))
    throw NotFinite(concat("train: the gradient norm of step ", report.step, " is ", report.gradient_norm,
                           "; it must be finite. The weights are those of step ", state.step));
  adamw_step(state.optimizer, weights, gradients, options_.adamw,
             {.learning_rate = report.settings.learning_rate,
              .gradient_scale = clip_factor(report.gradient_norm, options_.clip_norm),
              .clear_gradients = true});
  gradients_are_zero_ = true;
  histories.end_step();
  update_biases(state.weights, report.loss.load, report.settings.bias_speed);
  ++state.step;
  state.sequences += report.settings.sequences;
  report.tokens = state.sequences * T;
  return report;
}

double mean_max_vio(const std::vector<std::vector<Index>>& load) {
  double sum = 0;
  for (const auto& layer : load) sum += max_violation(layer);
  return load.empty() ? 0 : sum / static_cast<double>(load.size());
}

}  // namespace dsv3
