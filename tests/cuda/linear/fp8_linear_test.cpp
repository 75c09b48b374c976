// SPDX-License-Identifier: MIT
#include "cuda/linear/fp8_linear.hpp"

#include <doctest/doctest.h>

#include "reference/core/random.hpp"
#include "reference/linear/linear.hpp"
#include "reference/training/settings.hpp"
#include "reference/training/step.hpp"

using namespace dsv3;

namespace {

Matrix random_matrix(Index rows, Index cols, std::uint64_t seed) {
  Random random(seed);
  return normal_matrix(rows, cols, 1, random);
}

Precision on_cuda() {
  offer_products("cuda", cuda::fp8_products);
  return on_device(Precision::fp8, "cuda");
}

Precision on_cpu() {
  Precision precision = Precision::fp8;
  precision.recipe.arithmetic.accumulation = hopper_fp8_wgmma;
  return precision;
}

/// The same bits where the device is played; on a real one, whose sums may differ in their last bits, almost the same.
bool agree(const Matrix& a, const Matrix& b) {
  if (cuda::fp8_products()->name() == "the CPU, thread by thread") return a == b;
  return (a - b).norm() <= 1e-3 * b.norm();
}

}  // namespace

TEST_CASE("Linear on the device: its three products are the CPU's, of odd sizes too") {
  for (const auto& [T, N, K] : {std::array<Index, 3>{16, 64, 128}, {7, 131, 258}, {130, 3, 5}}) {
    const Matrix W = random_matrix(N, K, 1), x = random_matrix(T, K, 2), dy = random_matrix(T, N, 3);
    const Precision there = on_cuda(), here = on_cpu();
    CHECK(agree(fprop(W, x, there), fprop(W, x, here)));
    CHECK(agree(dgrad(W, dy, there), dgrad(W, dy, here)));
    Matrix dW = random_matrix(N, K, 4), sum = dW;
    wgrad(dW, dy, x, there), wgrad(sum, dy, x, here);
    CHECK(agree(dW, sum));
  }
}

TEST_CASE("training on the device: a step of a small model ends in the CPU's weights") {
  RunSettings settings;
  settings.config = "tiny", settings.precision = "fp8", settings.steps = 2;
  settings.sequences = settings.micro_batch = 1, settings.sequence_length = 16;
  const auto trained = [&](const Precision& precision) {
    TrainingOptions options = options_of(settings, config_by_name(settings.config));
    options.precision = precision;
    TrainingState state = initial_state(options);
    Trainer trainer(options);
    trainer.step(state, [&](Index, Index count) {
      Batch batch{.count = count, .length = settings.sequence_length, .tokens = {}};
      for (Index i = 0; i < count * (settings.sequence_length + 1); ++i)
        batch.tokens.push_back(static_cast<Token>(i * 7 % 100));
      return batch;
    });
    return state;
  };
  TrainingState there = trained(on_cuda()), here = trained(on_cpu());
  const auto a = tensors_of(there.weights), b = tensors_of(here.weights);
  for (std::size_t i = 0; i < a.size(); ++i) {
    CAPTURE(a[i].name);
    CHECK(agree(*a[i].value, *b[i].value));
  }
}

TEST_CASE("device: what it does not compute, and what does not exist, is refused with what is needed") {
  offer_products("cuda", cuda::fp8_products);
  CHECK_THROWS_WITH_AS(products_of("tpu"), "device: there is no device 'tpu'; it must be cpu or cuda",
                       std::invalid_argument);
  CHECK(products_of("cpu") == nullptr);
  for (const char* const precision :
       {"fp32", "bf16", "fp8:delayed", "fp8:hybrid", "fp8:gradient_blocks", "fp8:narrow"}) {
    RunSettings settings;
    settings.config = "tiny", settings.device = "cuda", settings.precision = precision;
    CHECK_THROWS_WITH_AS(options_of(settings, config_by_name("tiny")), doctest::Contains("needed is precision fp8"),
                         std::invalid_argument);
  }
}
