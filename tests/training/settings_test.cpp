// SPDX-License-Identifier: MIT
#include "reference/training/settings.hpp"

#include <limits>

#include "tests/checkpoint/scratch.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// No field as it is by default.
RunSettings unusual() {
  return {.config = "tiny",
          .data = "some/text äöü \"quoted\".txt",
          .steps = 7,
          .sequences = 3,
          .sequence_length = 33,
          .micro_batch = 2,
          .learning_rate = 0.1 + 0.2,
          .bias_speed = 1.0 / 3,
          .balance_alpha = 3e-5,
          .balance_scope = "batch",
          .precision = "bf16",
          .moments = "bf16",
          .seed = 0xffffffffffffffff,
          .evaluate_every = 4,
          .save_every = 0};
}

std::string refusal(const RunSettings& s) {
  return thrown<std::invalid_argument>([&] { options_of(s, config_by_name("tiny")); });
}

/// What reading the settings with `from` replaced by `to` says.
std::string reading(const std::string& from, const std::string& to) {
  const Scratch scratch;
  write_settings(scratch / "run.json", unusual());
  std::string text = get(scratch / "run.json");
  REQUIRE(contains(text, from));
  text.replace(text.find(from), from.size(), to);
  put(scratch / "run.json", text);
  const std::string said = thrown([&] { read_settings(scratch / "run.json"); });
  if (said != "nothing thrown") CHECK(contains(said, "run.json"));
  return said;
}

}  // namespace

TEST_CASE("settings: written and read, every field is the same to the last bit") {
  const Scratch scratch;
  write_settings(scratch / "run.json", unusual());
  CHECK(read_settings(scratch / "run.json") == unusual());
  CHECK(!(read_settings(scratch / "run.json") == RunSettings{}));
}

TEST_CASE("settings: a file with anything but exactly these fields is refused by the field's name") {
  CHECK(contains(reading("\"steps\": 7", "\"steps\": 7, \"stepz\": 7"), "stepz"));
  CHECK(contains(reading("\"steps\": 7,", ""), "steps"));
  CHECK(contains(reading("\"steps\": 7,", "\"steps\": 7, \"steps\": 8,"), "steps"));
  CHECK(contains(reading("\"steps\": 7", "\"steps\": \"7\""), "steps"));
  CHECK(contains(reading("\"steps\": 7", "\"steps\": 7.5"), "steps"));
  CHECK(contains(reading("\"steps\": 7", "\"steps\": true"), "steps"));
  CHECK(contains(reading("\"steps\": 7", "\"steps\": 99999999999999999999"), "steps"));
  CHECK(contains(reading("\"seed\": 18446744073709551615", "\"seed\": -1"), "seed"));
  CHECK(contains(reading("\"precision\": \"bf16\"", "\"precision\": 16"), "precision"));
  CHECK(contains(reading("\"bias_speed\"", "\"bias_speed\": null, \"x\""), "bias_speed"));
  CHECK(reading("{", "") != "nothing thrown");
  CHECK(reading("{", "[{") != "nothing thrown");
  CHECK(contains(thrown([] { read_settings("no/such/run.json"); }), "no/such/run.json"));
}

TEST_CASE("settings: the run they make: schedules on its tokens, a tenth of the steps as warm-up, at most 100") {
  RunSettings s = unusual();
  s.steps = 50;
  const TrainingOptions o = options_of(s, config_by_name("tiny"));
  CHECK(o.steps == 50);
  CHECK(o.schedules.total_tokens == 50 * 3 * 33);
  CHECK(o.schedules.learning_rate.peak == s.learning_rate);
  CHECK(o.schedules.learning_rate.warmup_steps == 5);
  CHECK(o.schedules.learning_rate.constant_until == 3345);  // 10/14.8 of 4950 tokens
  CHECK(o.schedules.bias_speed.before == s.bias_speed);
  CHECK(o.schedules.bias_speed.after == 0);
  CHECK(o.schedules.batch == BatchSchedule{.first = 3, .full = 3, .ramp_tokens = 157});
  CHECK(o.precision == Precision::bf16);
  RunSettings delayed = s;
  delayed.precision = "fp8:delayed";
  CHECK(options_of(delayed, config_by_name("tiny")).precision == Precision::fp8);
  CHECK(options_of(delayed, config_by_name("tiny")).precision.recipe.scaling == Scaling::delayed);
  CHECK(o.adamw.moments == MomentFormat::bf16);
  CHECK(o.balance_scope == BalanceScope::batch);
  CHECK(o.balance_alpha == s.balance_alpha);
  CHECK(o.micro_batch == 2);
  CHECK(o.seed == s.seed);
  s.steps = 5000;
  CHECK(options_of(s, config_by_name("tiny")).schedules.learning_rate.warmup_steps == 100);
}

TEST_CASE("settings: a value that cannot be right is named with what it needs") {
  const double infinity = std::numeric_limits<double>::infinity(), no_number = std::numeric_limits<double>::quiet_NaN();
  const auto with = [](auto change) {
    RunSettings s = unusual();
    change(s);
    return refusal(s);
  };
  using S = RunSettings;
  CHECK(with([](S&) {}) == "nothing thrown");
  CHECK(with([](S& s) { s.steps = 0; }) == "train: steps is 0; it must be at least 1");
  CHECK(with([](S& s) { s.sequences = 0; }) == "train: sequences is 0; it must be at least 1");
  CHECK(with([](S& s) { s.sequence_length = 0; }) == "train: the sequence length is 0; it must be at least 1");
  CHECK(with([](S& s) { s.sequence_length = 1; }) ==
        "train: the sequence length is 1; it must be more than the MTP depth 1 and at most the model's 512 positions");
  CHECK(contains(with([](S& s) { s.sequence_length = 513; }), "the sequence length is 513"));
  CHECK(with([](S& s) { s.micro_batch = 0; }) == "train: the micro-batch is 0 sequences; it must be at least 1");
  CHECK(with([](S& s) { s.precision = "fp4"; }) == "train: precision is 'fp4'; it must be fp32 or bf16 or fp8");
  CHECK(contains(with([](S& s) { s.precision = "fp8:e4"; }), "there is no variant 'e4'; it must be one of fp8, "));
  CHECK(with([](S& s) { s.moments = ""; }) == "train: moments is ''; it must be fp32 or bf16");
  CHECK(with([](S& s) { s.balance_scope = "layer"; }) ==
        "train: balance_scope is 'layer'; it must be sequence or batch");
  CHECK(contains(with([](S& s) { s.evaluate_every = -1; }), "evaluate_every is -1"));
  CHECK(contains(with([](S& s) { s.save_every = -2; }), "save_every -2"));
  for (const double wrong : {infinity, no_number, -1.0}) {
    CHECK(contains(with([&](S& s) { s.learning_rate = wrong; }), "peak is"));
    CHECK(contains(with([&](S& s) { s.bias_speed = wrong; }), "bias_speed is"));
    CHECK(contains(with([&](S& s) { s.balance_alpha = wrong; }), "balance_alpha is"));
  }
  CHECK(contains(with([](S& s) { s.steps = s.sequences = s.sequence_length = Index{1} << 31; }), "train: "));
}

TEST_CASE("settings: what is no JSON is said in our words") {
  const std::string said = reading("{", "");
  CHECK(contains(said, "run.json: is no JSON; it needs to be what train has written there"));
  CHECK(!contains(said, "json.exception"));
}

TEST_CASE("settings: paths become absolute, names of configurations stay") {
  RunSettings s = unusual();
  s.data = "some/../text/";
  const std::filesystem::path here = std::filesystem::current_path();
  CHECK(with_absolute_paths(s).data == here / "text");
  CHECK(with_absolute_paths(s).config == "tiny");
  s.config = "my.json";
  CHECK(with_absolute_paths(s).config == here / "my.json");
  CHECK(with_absolute_paths(with_absolute_paths(s)) == with_absolute_paths(s));
}

TEST_CASE("settings: of what was given, only what the run began with is taken; the rest is not looked at") {
  const RunSettings kept = with_absolute_paths(unusual());
  const auto refusal_of = [&](const RunSettings& asked, const std::set<std::string>& given) {
    return thrown<std::invalid_argument>([&] { require_same(kept, asked, given, "train"); });
  };
  CHECK(refusal_of({}, {}) == "nothing thrown");
  CHECK(refusal_of({}, {"--out", "--threads"}) == "nothing thrown");
  const std::set<std::string> all = {"--config",        "--data",           "--steps",         "--sequences",
                                     "--length",        "--micro-batch",    "--learning-rate", "--bias-speed",
                                     "--balance-alpha", "--balance-scope",  "--precision",     "--moments",
                                     "--seed",          "--evaluate-every", "--save-every"};
  CHECK(refusal_of(unusual(), all) == "nothing thrown");  // a relative path that is the same one
  for (const std::string& option : all)                   // no field of unusual() is as it is by default
    CHECK(contains(refusal_of({}, {option}), "train: " + option + " is "));
  CHECK(refusal_of({.config = "tiny", .data = {}, .steps = 8}, {"--config", "--steps"}) ==
        "train: --steps is 8 but the run began with 7; a resumed run keeps its settings: leave --steps out");
}
