// SPDX-License-Identifier: MIT
#include "reference/training/gradient_error.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "reference/training/fp8_experiment.hpp"

using namespace dsv3;

namespace {

TrainingOptions small_options() {
  RunSettings settings;
  settings.config = "tiny", settings.sequences = settings.micro_batch = 4, settings.sequence_length = 64;
  return options_of(settings, config_by_name("tiny"));
}

/// Tokens that follow each other by a rule, so that there are gradients worth the name.
Batch rule(Index first, Index count) {
  Batch batch{.count = count, .length = 64, .tokens = {}};
  for (Index s = 0; s < count; ++s)
    for (Index t = 0; t <= 64; ++t) batch.tokens.push_back(static_cast<Token>((first + s) * 37 + t * t % 61) % 512);
  return batch;
}

constexpr Index some_way_in = amax_history_length * 4;  // sequences

TrainingState trained_a_little(const TrainingOptions& options) {
  TrainingState state = initial_state(options);
  Trainer trainer(options);
  for (int step = 0; step < 4; ++step) trainer.step(state, rule);
  return state;
}

Precision recipe(const char* name) { return fp8_variant_named(name).recipe; }

}  // namespace

TEST_CASE("gradient error: the norm of the difference over the exact norm, biases left out, by hand") {
  ModelWeights<Matrix> g = zeros(shapes(config_by_name("tiny"))), exact = g;
  exact.head(0, 0) = 3, exact.embedding(1, 1) = 4;
  g.head(0, 0) = 3, g.embedding(1, 1) = 4, g.head(2, 2) = 0.5;
  CHECK(relative_difference(g, exact) == 0.1);
  for (const NamedTensor& tensor : tensors_of(g))
    if (tensor.role == Role::bias) tensor.value->setConstant(7);
  CHECK(relative_difference(g, exact) == 0.1);
  g.head(0, 0) = NAN;
  CHECK(std::isnan(relative_difference(g, exact)));
}

TEST_CASE("gradient error: none in FP32; BF16 below FP8, E5M2 gradients above it") {
  const TrainingOptions options = small_options();
  const TrainingState state = trained_a_little(options);
  const std::vector<Precision> precisions{Precision::fp32,  Precision::bf16,  recipe("fp8"),
                                          recipe("narrow"), recipe("hybrid"), recipe("fp8")};
  const std::vector<double> error = gradient_errors(options, state, rule, some_way_in, precisions);
  CHECK(error[0] == 0);
  CHECK((error[1] > 0 && error[1] < error[2] / 2));
  CHECK(error[2] < 0.2);
  CHECK(error[3] != error[2]);
  CHECK(error[4] > error[2]);
  CHECK(error[5] == error[2]);
  CHECK_THROWS_AS(gradient_errors(options, state, rule, some_way_in - 1, precisions), std::invalid_argument);
}

TEST_CASE("gradient error: it is that of the objective of the step, MTP and balance losses included") {
  const TrainingOptions options = small_options();
  const TrainingState state = trained_a_little(options);
  const auto error = [&](const TrainingOptions& o) {
    return gradient_errors(o, state, rule, some_way_in, std::vector<Precision>{Precision::bf16})[0];
  };
  TrainingOptions no_balance = options, by_batch = options, no_mtp = options;
  no_balance.balance_alpha = 0;
  by_batch.balance_scope = BalanceScope::batch;
  no_mtp.schedules.mtp_lambda.before = 0;
  for (const TrainingOptions& other : {no_balance, by_batch, no_mtp}) CHECK(error(other) != error(options));
}

TEST_CASE("gradient error: delayed scales are those of the batches before, full histories of them") {
  const TrainingOptions options = small_options();
  const TrainingState state = trained_a_little(options);
  const std::vector<Precision> precisions{recipe("delayed"), recipe("per_tensor")};
  const std::vector<double> error = gradient_errors(options, state, rule, some_way_in, precisions);
  CHECK(error[0] < 1.5 * error[1]);  // after one batch alone, whose small gradients underflow, five times as large
  const BatchSource others_before = [](Index first, Index count) {
    return rule(first < some_way_in ? 0 : first, count);
  };
  const std::vector<double> other = gradient_errors(options, state, others_before, some_way_in, precisions);
  CHECK(other[0] != error[0]);
  CHECK(other[1] == error[1]);
}

TEST_CASE("gradient error: NaN where a weight is, whatever it reaches first") {
  const TrainingOptions options = small_options();
  TrainingState in_head = initial_state(options), before_gate = in_head;
  in_head.weights.head(0, 0) = NAN;
  const std::vector<Precision> precisions{Precision::bf16};
  CHECK(std::isnan(gradient_errors(options, in_head, rule, some_way_in, precisions)[0]));
  before_gate.weights.embedding.setConstant(NAN);
  CHECK_THROWS_AS(gradient_errors(options, before_gate, rule, some_way_in, precisions), NotFinite);  // in FP32 too
}
