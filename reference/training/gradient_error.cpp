// SPDX-License-Identifier: MIT
#include "reference/training/gradient_error.hpp"

#include <cmath>
#include <limits>

#include "reference/core/require.hpp"

namespace dsv3 {
namespace {

/// Where the gradients of one micro-batch are made.
class Gradients {
 public:
  Gradients(const TrainingOptions& options, const TrainingState& state)
      : options_(options),
        lambda_(settings(options.schedules, state.step + 1, state.sequences * options.sequence_length).mtp_lambda),
        model_(options.config),
        weights_(state.weights),
        g_(zeros(shapes(options.config))) {}

  ModelWeights<Matrix>& of(const Batch& batch, const Precision& precision) {
    for (const NamedTensor& tensor : tensors_of(g_)) tensor.value->setZero();
    const double share = 1.0 / static_cast<double>(batch.count);
    const bool by_sequence = options_.balance_scope == BalanceScope::sequence;
    const Objective objective{
        .weight = share / static_cast<double>(batch.length),
        .lambda = lambda_,
        .balance = {
            .alpha = options_.balance_alpha, .scope = options_.balance_scope, .weight = by_sequence ? share : 1}};
    model_.loss_and_gradients(weights_, g_, batch, objective, precision);
    return g_;
  }

  /// The same after the histories have been filled with the batches before.
  ModelWeights<Matrix>& with_delayed_scales(const BatchSource& batches, Index first, Precision precision) {
    std::vector<LinearAmaxes> amaxes = empty_amaxes(tensors_of(weights_), precision.recipe);
    AmaxHistories histories(amaxes, tensors_of(weights_), tensors_of(g_));
    precision.recipe.histories = &histories;
    const Index count = options_.micro_batch;
    for (Index back = amax_history_length; back >= 1;
         --back) {  // the first passes underflow: their scales know nothing
      of(batches(first - back * count, count), precision);
      histories.end_step();
    }
    return of(batches(first, count), precision);
  }

 private:
  const TrainingOptions& options_;
  double lambda_;
  Model model_;
  ModelWeights<Matrix> weights_;  // a copy whose tensors can be named
  ModelWeights<Matrix> g_;
};

}  // namespace

double relative_difference(ModelWeights<Matrix>& g, ModelWeights<Matrix>& exact) {
  double square = 0, exact_square = 0;
  const std::vector<NamedTensor> a = tensors_of(g), b = tensors_of(exact);
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].role == Role::bias) continue;
    square += (*a[i].value - *b[i].value).cast<double>().squaredNorm();
    exact_square += b[i].value->cast<double>().squaredNorm();
  }
  return std::sqrt(square / exact_square);
}

std::vector<double> gradient_errors(const TrainingOptions& options, const TrainingState& state,
                                    const BatchSource& batches, Index first, std::span<const Precision> precisions) {
  const Index count = options.micro_batch;
  require(first >= amax_history_length * count, "gradient_errors", "first is ", first, "; it must leave ",
          amax_history_length * count, " sequences before it");
  Gradients exact(options, state), rounded(options, state);
  ModelWeights<Matrix>& g = exact.of(batches(first, count), Precision::fp32);
  std::vector<double> errors;
  for (const Precision& precision : precisions) try {
      const bool delayed = precision.kind == Precision::fp8 && precision.recipe.scaling == Scaling::delayed;
      errors.push_back(relative_difference(delayed ? rounded.with_delayed_scales(batches, first, precision)
                                                   : rounded.of(batches(first, count), precision),
                                           g));
    } catch (const NotFinite&) {
      errors.push_back(std::numeric_limits<double>::quiet_NaN());
    }
  return errors;
}

}  // namespace dsv3
