// SPDX-License-Identifier: MIT
#include "reference/training/fp8_experiment.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <set>

using namespace dsv3;

namespace {

RunText some_text() {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += concat("the river ", i % 7, " runs to the sea ", i % 11, ". ");
  Corpus corpus;
  corpus.training.push_back({"a", 0, text});
  corpus.held_out.push_back({"a", text.size(), "the river 3 runs"});
  return text_with_new_tokenizer(corpus, 300);
}

}  // namespace

TEST_CASE("fp8 experiment: Figure 10's smoothing and the relative error, by hand") {
  CHECK(smoothed({4, 2, 2}) == std::vector<double>{4, 0.9 * 4 + 0.1 * 2, 0.9 * (0.9 * 4 + 0.1 * 2) + 0.1 * 2});
  const std::vector<double> errors = relative_errors({4, 4}, {2, 4});
  CHECK(errors[0] == 1);
  CHECK(errors[1] == doctest::Approx(4 / 2.2 - 1));
  CHECK(mean_of_last_half({100, 1, 3}) == 2);
  CHECK_THROWS_AS(relative_errors({1}, {1, 2}), std::invalid_argument);
  CHECK_THROWS_AS(mean_of_last_half({}), std::invalid_argument);
}

TEST_CASE("fp8 experiment: every variant learns, on its own path; the same one takes the same path again") {
  const RunText text = some_text();
  const ModelConfig config = config_by_name("tiny");
  RunSettings settings;
  settings.steps = 4, settings.sequences = settings.micro_batch = 2, settings.sequence_length = 32;
  const auto curve = [&](const Precision& precision) { return loss_curve(settings, config, text, precision, {}); };
  const std::vector<double> bf16 = curve(Precision::bf16);
  std::set<std::vector<double>> paths{bf16};
  for (const Fp8Variant& variant : fp8_variants()) {
    CAPTURE(variant.name);
    const std::vector<double> loss = curve(variant.recipe);
    REQUIRE(loss.size() == 4);
    CHECK(std::isfinite(loss.back()));
    CHECK(relative_errors(loss, bf16).front() < 0.02);  // the same weights and batch: only the arithmetic differs
    CHECK(paths.insert(loss).second);
    CHECK(curve(variant.recipe) == loss);
  }
  const auto until_second = [](Index step, double) { return step < 2; };
  CHECK(loss_curve(settings, config, text, Precision::bf16, until_second) ==
        std::vector(bf16.begin(), bf16.begin() + 2));
  CHECK_THROWS_AS(fp8_variant_named("fp9"), std::invalid_argument);
}
