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

}  // namespace

TEST_CASE("gradient error: none in FP32; BF16 below FP8, a narrow tensor core and delayed scales above it") {
  const TrainingOptions options = small_options();
  TrainingState state = initial_state(options);
  Trainer trainer(options);
  for (int step = 0; step < 4; ++step) trainer.step(state, rule);
  const auto error = [&](const Precision& precision) { return gradient_error(options, state, rule, 16, precision); };
  const auto of = [&](const char* name) { return error(fp8_variant_named(name).recipe); };
  CHECK(error(Precision::fp32) == 0);
  const double bf16 = error(Precision::bf16), fp8 = of("fp8");
  CHECK((bf16 > 0 && bf16 < fp8 / 2));
  CHECK(fp8 < 0.2);
  CHECK(of("narrow") > 1.2 * fp8);
  CHECK(of("hybrid") > fp8);
  CHECK(of("fp8") == fp8);
  CHECK_THROWS_AS(gradient_error(options, state, rule, 3, Precision::bf16), std::invalid_argument);
}

TEST_CASE("gradient error: delayed scales are those of the sequences before, and only theirs") {
  const TrainingOptions options = small_options();
  const TrainingState state = initial_state(options);
  const Precision delayed(fp8_variant_named("delayed").recipe), per_tensor(fp8_variant_named("per_tensor").recipe);
  const BatchSource always_the_same = [](Index, Index count) { return rule(0, count); };
  // The scales of the same batch are a tensor's own, but for the power of two of one and the margin of the other.
  const double same = gradient_error(options, state, always_the_same, 4, delayed);
  CHECK(same == doctest::Approx(gradient_error(options, state, always_the_same, 4, per_tensor)).epsilon(0.2));
  CHECK(gradient_error(options, state, rule, 4, delayed) != same);
}

TEST_CASE("gradient error: NaN where a weight is") {
  const TrainingOptions options = small_options();
  TrainingState state = initial_state(options);
  state.weights.head(0, 0) = NAN;
  CHECK(std::isnan(gradient_error(options, state, rule, 4, Precision::bf16)));
}
