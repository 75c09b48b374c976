// SPDX-License-Identifier: MIT
// Models in their released form, computed here in FP32 and by Hugging Face transformers: tests/golden/README.md.
#include "reference/serving/streamed_weights.hpp"
#include "tests/serving/hf_golden.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("transformers: every intermediate tensor and the logits agree, and every token goes to the same experts") {
  for (const std::string& name : golden_names) {
    CAPTURE(name);
    check_golden(name, 2);
  }
}

TEST_CASE("a streamed checkpoint and one in memory give the same bits") {
  for (const std::string& name : golden_names) {
    CAPTURE(name);
    const std::vector<Token> tokens = Golden(name).tokens(0);
    const LoadedModel model = load_golden(name);
    const StreamedModel streamed = open_streamed(golden_path(name));
    CHECK(streamed.config.model == model.config);
    CHECK(streamed.absent_mtp == 0);
    const Values a = values_of_prompt(model.config, source_of(model.weights), tokens);
    const Values b = values_of_prompt(streamed.config.model, streamed.source, tokens);
    REQUIRE(a.size() == b.size());
    for (const auto& [tensor, value] : a) {
      CAPTURE(tensor);
      CHECK(different(value, b.at(tensor)) == "");
    }
  }
}

TEST_CASE(
    "transformers: 1500 positions at YaRN's factor 40: within 2e-5 of the largest logit, which exact angles are not") {
  const Golden golden("v3_long");
  const Matrix expected = golden.matrix("prompt.0.logits");  // of the last 200 tokens
  const auto difference = [&](const LoadedModel& model) {
    const std::vector<Token> tokens = golden.tokens(0);
    const Values ours = values_of_prompt(model.config, source_of(model.weights), tokens);
    return max_abs(expected - ours.at("logits").bottomRows(expected.rows())) / max_abs(expected);
  };
  const LoadedModel released = load_golden("v3_long");
  CHECK(released.config.mla.rope.angles == AngleDialect::released);
  CHECK(difference(released) < 2e-5);
  LoadedModel exact = released, small_eps = released, eps_of_latents = released;
  exact.config.mla.rope.angles = AngleDialect::exact;
  CHECK(difference(exact) > 4e-5);
  // rms_norm_eps is 1e-3 in this file, but not for the norms on the two latents.
  small_eps.config.eps = 1e-6;
  CHECK(difference(small_eps) > 20 * agreement);
  eps_of_latents.config.mla.eps = 1e-3;
  CHECK(difference(eps_of_latents) > 20 * agreement);
}

TEST_CASE("config.json as transformers 5 writes it is the same configuration") {
  const HfConfig released = read_hf_config(golden_path("v3_yarn"));
  const std::filesystem::path path = golden_path("v3_yarn") / "config.transformers5.json";
  const MappedFile file(path);
  const HfConfig five =
      parse_hf_config({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}, path.string());
  CHECK(five.model == released.model);
  CHECK(five.load.rope_interleave == released.load.rope_interleave);
  CHECK(released.model.mla.rope.yarn->factor == 8);  // and not two that lack the same thing
}

TEST_CASE("transformers: loss and the gradient of every parameter agree") {
  // Twice the depth of the forward pass, and sums over tokens besides.
  CHECK(gradient_differences(Golden("v3_yarn"), load_golden("v3_yarn"), 2 * agreement) == "");
}
