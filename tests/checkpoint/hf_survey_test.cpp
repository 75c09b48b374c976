// SPDX-License-Identifier: MIT
#include "reference/checkpoint/hf_survey.hpp"

#include "reference/checkpoint/hf_checkpoint.hpp"
#include "reference/core/memory.hpp"
#include "reference/serving/streamed_weights.hpp"
#include "tests/checkpoint/scratch.hpp"
#include "tests/checkpoint/small_model.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// A checkpoint of these tensors, as far as names go.
Checkpoint named(std::initializer_list<const char*> names) {
  Checkpoint checkpoint{.folder = "C", .files = {}, .tensors = {}};
  for (const char* const name : names) checkpoint.tensors[name];
  return checkpoint;
}

/// Two layers, 16 experts and an MTP module.
Checkpoint whole() {
  return named({"lm_head.weight", "model.layers.0.self_attn.o_proj.weight", "model.layers.0.mlp.up_proj.weight",
                "model.layers.1.mlp.experts.15.up_proj.weight", "model.layers.1.self_attn.o_proj.weight",
                "model.layers.2.eh_proj.weight", "model.layers.2.self_attn.o_proj.weight"});
}

std::string said(const Checkpoint& checkpoint, Index L, Index D = 1, Index N_r = 16) {
  ModelConfig config = small_config();
  config.L = L, config.D = D, config.moe.gate.N_r = N_r;
  return thrown([&] { require_same_counts(checkpoint, config); });
}

}  // namespace

TEST_CASE("survey: num_hidden_layers one too small: the layer behind is a real one, and that is what is said") {
  CHECK(said(whole(), 2) == "nothing thrown");
  CHECK(said(whole(), 2, 0) == "nothing thrown");  // its tensors will be listed as unmapped
  const char* const message =
      "C: config.json says num_hidden_layers 1, but layer 1 is another one: it has attention or FFN tensors, but no "
      "eh_proj, enorm or hnorm of an MTP module";
  for (const Index D : {0, 1, 2}) CHECK(said(whole(), 1, D) == message);
  // One of an MTP module's own tensors is enough: the others will be listed as missing.
  for (const char* const own : {"model.layers.1.enorm.weight", "model.layers.1.hnorm.weight"})
    CHECK(said(named({"model.layers.0.mlp.experts.15.a", "model.layers.1.self_attn.o_proj.weight", own}), 1) ==
          "nothing thrown");
}

TEST_CASE("survey: num_hidden_layers too large: the MTP module is no layer, and there is no fourth") {
  CHECK(said(whole(), 3) ==
        "C: config.json says num_hidden_layers 3, but layer 2 is an MTP module (eh_proj, enorm, hnorm)");
  CHECK(said(whole(), 4) == "C: config.json says num_hidden_layers 4, but the tensors are of 3 layers");
  CHECK(contains(said(named({"lm_head.weight"}), 1), "but the tensors are of 0 layers"));
}

TEST_CASE("survey: more experts than the checkpoint has; a dense model needs none") {
  CHECK(said(whole(), 2, 1, 17) == "C: config.json says n_routed_experts 17, but the tensors are of 16 experts");
  CHECK(said(whole(), 2, 1, 16) == "nothing thrown");
  CHECK(said(named({"model.layers.0.mlp.up_proj.weight"}), 1, 0, 64) == "nothing thrown");  // num_dense_layers = 1
}

TEST_CASE("survey: names with numbers that are none do not count") {
  CHECK(contains(said(named({"model.layers.99999999999999999999.mlp.up_proj", "model.layers.-5.mlp.up_proj",
                             "model.layers.x.mlp.up_proj", "model.layers."}),
                      1),
                 "but the tensors are of 0 layers"));
}

TEST_CASE("survey: MTP modules are counted from the first one after the layers") {
  ModelConfig config = small_config();
  CHECK(mtp_modules_in(whole(), config) == 1);
  config.D = 3;
  CHECK(mtp_modules_in(whole(), config) == 1);
  config.D = 0;
  CHECK(mtp_modules_in(whole(), config) == 0);
  config.D = 1, config.L = 3;
  CHECK(mtp_modules_in(whole(), config) == 0);
}

TEST_CASE("survey: a config.json that announces a giant is refused in little memory, before names are made") {
  const Scratch scratch;
  const ModelConfig config = small_config();
  const ModelWeights<Matrix> weights = random_model(config);
  save_checkpoint(scratch / "model", config, hf_tensors(config, weights), Dtype::f32);
  const std::string text = get(scratch / "model" / "config.json");
  const auto with = [&](const char* field, const char* value) {
    const std::size_t at = text.find(field), comma = text.find(',', at);
    REQUIRE(at != text.npos);
    put(scratch / "model" / "config.json", text.substr(0, at) + field + "\": " + value + text.substr(comma));
    reset_peak_memory();
    const std::size_t before = resident_memory().peak;
    const std::string message = thrown([&] { open_streamed(scratch / "model"); });
    CHECK(resident_memory().peak - before < 10'000'000);
    CHECK(message.size() < 3000);
    return message;
  };
  CHECK(contains(with("num_hidden_layers", "4000"), "num_hidden_layers 4000, but the tensors are of 3 layers"));
  CHECK(contains(with("n_routed_experts", "65536"), "n_routed_experts 65536, but the tensors are of 16 experts"));
  CHECK(contains(with("n_routed_experts", "1048576"), "there must be at most 131072 experts in all"));
  CHECK(contains(with("hidden_size", "1048576"), "has shape [11, 10]; [11, 1048576] is needed"));
  CHECK(contains(with("hidden_size", "1048576"), "more"));  // not every misshapen tensor is listed
  CHECK(contains(with("vocab_size", "1048576"), "[1048576, 10] is needed"));
  CHECK(with("num_nextn_predict_layers", "4000") ==
        "nothing thrown");  // as transformers saves a model with one of them
}
