// SPDX-License-Identifier: MIT
#include "reference/training/gradient_error.hpp"

#include <cmath>

#include "reference/core/require.hpp"

namespace dsv3 {
namespace {

/// The gradients of one micro-batch.
struct Gradients {
  Gradients(const TrainingOptions& options, const TrainingState& state)
      : config(options),
        lambda(settings(options.schedules, state.step + 1, state.sequences * options.sequence_length).mtp_lambda),
        model(options.config),
        weights(state.weights),
        g(zeros(shapes(options.config))) {}

  void compute(const Batch& batch, const Precision& precision) {
    for (const NamedTensor& tensor : tensors_of(g)) tensor.value->setZero();
    const double share = 1.0 / static_cast<double>(batch.count);
    const Objective objective{.weight = share / static_cast<double>(batch.length),
                              .lambda = lambda,
                              .balance = {.alpha = config.balance_alpha,
                                          .scope = config.balance_scope,
                                          .weight = config.balance_scope == BalanceScope::sequence ? share : 1}};
    model.loss_and_gradients(weights, g, batch, objective, precision);
  }

  const TrainingOptions& config;
  double lambda;
  Model model;
  ModelWeights<Matrix> weights;  // a copy: whose tensors can be named
  ModelWeights<Matrix> g;
};

}  // namespace

double gradient_error(const TrainingOptions& options, const TrainingState& state, const BatchSource& batches,
                      Index first, const Precision& precision) {
  const Index count = options.micro_batch;
  require(first >= count, "gradient_error", "first is ", first, "; it must leave ", count, " sequences before it");
  Gradients exact(options, state), rounded(options, state);
  Precision with_memory = precision;
  std::vector<LinearAmaxes> amaxes = empty_amaxes(tensors_of(rounded.weights), precision.recipe);
  AmaxHistories histories;
  if (!amaxes.empty()) {
    histories = {amaxes, tensors_of(rounded.weights), tensors_of(rounded.g)};
    with_memory.recipe.histories = &histories;
    rounded.compute(batches(first - count, count), with_memory);
    histories.end_step();
  }
  const Batch batch = batches(first, count);
  exact.compute(batch, Precision::fp32);
  rounded.compute(batch, with_memory);

  double square = 0, exact_square = 0;
  const std::vector<NamedTensor> a = tensors_of(rounded.g), b = tensors_of(exact.g);
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].role == Role::bias) continue;
    square += (*a[i].value - *b[i].value).cast<double>().squaredNorm();
    exact_square += b[i].value->cast<double>().squaredNorm();
  }
  return std::sqrt(square / exact_square);
}

}  // namespace dsv3
