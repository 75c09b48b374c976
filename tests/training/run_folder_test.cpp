// SPDX-License-Identifier: MIT
#include "reference/training/run_folder.hpp"

#include "tests/checkpoint/scratch.hpp"
#include "tests/training/fixture.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

constexpr std::uint64_t fingerprint = 0xfedcba9876543210;  // beyond the range of a double and of a signed number

/// The micro options in a shape that a released config.json can say.
TrainingOptions saveable_options(MomentFormat moments = MomentFormat::fp32) {
  TrainingOptions o = micro_options();
  o.config.moe.d_shared = 2 * o.config.moe.d_expert;
  o.adamw.moments = moments;
  return o;
}

/// A run's folder after three steps, saved once.
struct Saved {
  explicit Saved(const TrainingOptions& options) : o(options), state(train(o, 3).state) {
    put(scratch / "tokenizer.json", "a tokenizer");
    save_training_state(scratch.folder(), o, state, fingerprint);
  }
  std::filesystem::path newest() const { return newest_checkpoint(scratch.folder()).value(); }
  std::string refusal() const {
    return thrown([&] { load_training_state(newest(), o, fingerprint); });
  }

  Scratch scratch;
  TrainingOptions o;
  TrainingState state;
};

/// Replaces `from` by `to`, of the same length, in a file.
void patch(const std::filesystem::path& path, const std::string& from, const std::string& to) {
  std::string text = get(path);
  REQUIRE(from.size() == to.size());
  REQUIRE(contains(text, from));
  text.replace(text.find(from), from.size(), to);
  put(path, text);
}

}  // namespace

TEST_CASE("run folder: weights, moments in FP32 or BF16 and counters come back bit for bit") {
  for (const MomentFormat moments : {MomentFormat::fp32, MomentFormat::bf16}) {
    const Saved saved(saveable_options(moments));
    CHECK(saved.newest() == saved.scratch / "checkpoints" / "step_000003");
    CHECK(different(load_training_state(saved.newest(), saved.o, fingerprint), saved.state) == "");
    CHECK(get(saved.newest() / "tokenizer.json") == "a tokenizer");
    CHECK(saved.state.sequences == 18);
  }
}

TEST_CASE("run folder: training that goes on from a checkpoint takes the same steps, in FP32 and BF16 moments") {
  for (const MomentFormat moments : {MomentFormat::fp32, MomentFormat::bf16}) {
    const Saved saved(saveable_options(moments));
    TrainingState resumed = load_training_state(saved.newest(), saved.o, fingerprint);
    Trainer trainer(saved.o);
    while (resumed.step < 5) trainer.step(resumed, random_text(saved.o));
    CHECK(different(resumed, train(saved.o, 5).state) == "");
  }
}

TEST_CASE("run folder: the newest complete checkpoint counts; leftovers and other files do not") {
  const Scratch scratch;
  CHECK(!newest_checkpoint(scratch.folder()));
  CHECK(!newest_checkpoint(scratch / "missing"));
  std::filesystem::create_directories(scratch / "checkpoints");
  CHECK(!newest_checkpoint(scratch.folder()));
  for (const char* const name : {"step_000010.tmp-123-0", "step_", "step_x", "step_12a", "other", "Step_000050"})
    std::filesystem::create_directories(scratch / "checkpoints" / name);
  put(scratch / "checkpoints" / "step_000060", "a file");
  CHECK(!newest_checkpoint(scratch.folder()));
  std::filesystem::create_directories(scratch / "checkpoints" / "step_000009");
  std::filesystem::create_directories(scratch / "checkpoints" / "step_1000000");
  std::filesystem::create_directories(scratch / "checkpoints" / "step_999999");
  CHECK(newest_checkpoint(scratch.folder()) == scratch / "checkpoints" / "step_1000000");  // by number, not by name
}

TEST_CASE("run folder: saving keeps the checkpoint before and removes older ones and what a killed save left behind") {
  Saved saved(saveable_options());
  const auto checkpoint = [&](const char* name) {
    return std::filesystem::exists(saved.scratch / "checkpoints" / name);
  };
  std::filesystem::create_directories(saved.scratch / "checkpoints" / "step_000004.tmp-1-0");
  for (const Index step : {4, 5}) {
    saved.state.step = saved.state.optimizer.step = step;
    save_training_state(saved.scratch.folder(), saved.o, saved.state, fingerprint);
  }
  CHECK(!checkpoint("step_000003"));
  CHECK(checkpoint("step_000004"));
  CHECK(checkpoint("step_000005"));
  CHECK(!checkpoint("step_000004.tmp-1-0"));
}

TEST_CASE("run folder: saving the same step again replaces it") {
  Saved saved(saveable_options());
  saved.state.weights.head(0, 0) += 1;
  save_training_state(saved.scratch.folder(), saved.o, saved.state, fingerprint);
  CHECK(different(load_training_state(saved.newest(), saved.o, fingerprint), saved.state) == "");
}

TEST_CASE("run folder: another text, another configuration and another format of moments are refused") {
  const Saved saved(saveable_options());
  CHECK(contains(thrown([&] { load_training_state(saved.newest(), saved.o, fingerprint + 1); }),
                 "state.json: the training text or tokenizer is not the one the run began with"));
  TrainingOptions other = saved.o;
  other.config.moe.gate.routed_scaling_factor = 1;
  CHECK(contains(thrown([&] { load_training_state(saved.newest(), other, fingerprint); }),
                 "holds another configuration than the run's settings say"));
  other = saved.o;
  other.adamw.moments = MomentFormat::bf16;
  CHECK(contains(thrown([&] { load_training_state(saved.newest(), other, fingerprint); }), "is F32; BF16 is needed"));
}

TEST_CASE("run folder: what is missing or wrong is named") {
  SUBCASE("a moment") {
    const Saved saved(saveable_options());
    patch(saved.newest() / "optimizer.safetensors", "m.blocks.1.mla.W_UK", "m.blocks.1.mla.W_XX");
    CHECK(contains(saved.refusal(), "optimizer.safetensors: has no tensor m.blocks.1.mla.W_UK"));
  }
  SUBCASE("a weight") {
    const Saved saved(saveable_options());
    patch(saved.newest() / "model.safetensors", "layers.1.mlp.experts.3.up_proj", "layers.1.mlp.experts.3.XX_proj");
    CHECK(contains(saved.refusal(), "experts.3.up_proj"));
  }
  SUBCASE("a file") {
    for (const char* const name : {"config.json", "model.safetensors", "optimizer.safetensors", "state.json"}) {
      const Saved saved(saveable_options());
      std::filesystem::remove(saved.newest() / name);
      CHECK(contains(saved.refusal(), name == std::string("model.safetensors") ? saved.newest().string() : name));
    }
  }
  SUBCASE("moments of another shape") {
    const Saved saved(saveable_options());
    patch(saved.newest() / "optimizer.safetensors", "[40,12]", "[12,40]");
    CHECK(contains(saved.refusal(), "is [12, 40]; [40, 12] is needed"));
  }
  SUBCASE("a moment that is not finite") {
    Saved saved(saveable_options());
    std::get<std::vector<real>>(saved.state.optimizer.tensors.at(0).v).at(5) = std::numeric_limits<real>::infinity();
    save_training_state(saved.scratch.folder(), saved.o, saved.state, fingerprint);
    CHECK(contains(saved.refusal(), "tensor \"v.embedding\": holds values that are not finite"));
  }
  SUBCASE("counters") {
    const Saved saved(saveable_options());
    for (const char* const text :
         {"", "{}", "[1]", R"({"step":-1,"sequences":1,"text":1})", R"({"step":1.5,"sequences":1,"text":1})",
          R"({"step":3,"sequences":-18,"text":1})", R"({"step":"3","sequences":18,"text":1})",
          R"({"step":3,"sequences":18,"text":-1})", R"({"step":3,"step":4,"sequences":18,"text":1})"}) {
      CAPTURE(text);
      put(saved.newest() / "state.json", text);
      CHECK(contains(saved.refusal(), "state.json: "));
      CHECK(!contains(saved.refusal(), "not the one the run began with"));
    }
  }
}

TEST_CASE("run folder: histories of delayed scaling come back bit for bit, and training goes on from them alike") {
  TrainingOptions o = saveable_options();
  o.precision = Fp8Recipe{.gradient = FormatId::e5m2, .scaling = Scaling::delayed};
  const Saved saved(o);
  TrainingState resumed = load_training_state(saved.newest(), o, fingerprint);
  CHECK(different(resumed, saved.state) == "");
  TrainingState forgetful = resumed;
  forgetful.amaxes = empty_amaxes(tensors_of(forgetful.weights), o.precision.recipe);
  Trainer trainer(o), other(o);
  while (resumed.step < 5) trainer.step(resumed, random_text(o)), other.step(forgetful, random_text(o));
  const TrainingState whole = train(o, 5).state;
  CHECK(different(resumed, whole) == "");
  CHECK(different(forgetful, whole) != "");
}

TEST_CASE("run folder: histories of amaxes that are missing or cannot be are named") {
  TrainingOptions o = saveable_options();
  o.precision = Fp8Recipe{.scaling = Scaling::delayed};
  Saved saved(o);
  const auto with_factor = [&](float amax, float factor) {
    saved.state.amaxes.at(4).of[2].restore(std::vector<float>(16, amax), factor);
    save_training_state(saved.scratch.folder(), o, saved.state, fingerprint);
    return saved.refusal();
  };
  CHECK(with_factor(2, 3) == "nothing thrown");
  const std::string name = "dy." + saved.state.amaxes.at(4).weight;
  patch(saved.newest() / "amax.safetensors", name, "dX" + name.substr(2));
  CHECK(contains(saved.refusal(), "amax.safetensors: has no tensor " + name));
  CHECK(with_factor(1, 1) == "nothing thrown");
  std::string text = get(saved.newest() / "amax.safetensors");
  for (const char sign : {'\x80', '\xff'}) {  // the last factor: negative, NaN
    text.end()[-1] = sign, text.end()[-2] = '\xc0';
    put(saved.newest() / "amax.safetensors", text);
    CHECK(contains(saved.refusal(), "holds values that no history has"));
  }
  std::filesystem::remove(saved.newest() / "amax.safetensors");
  CHECK(contains(saved.refusal(), "amax.safetensors"));
}
