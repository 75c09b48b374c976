// SPDX-License-Identifier: MIT
#include "reference/serving/streamed_weights.hpp"

#include <limits>

#include "reference/checkpoint/hf_checkpoint.hpp"
#include "reference/serving/inference.hpp"
#include "tests/checkpoint/scratch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/models.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// The micro model as far as a released config.json can say it.
ModelConfig v3_shaped() {
  ModelConfig c = micro_config();
  c.moe.d_shared = 2 * c.moe.d_expert;
  c.mtp_order = MtpOrder::embedding_hidden;
  return c;
}

/// The micro model as a checkpoint folder, after `spoil` had its weights.
template <class Spoil>
std::filesystem::path saved(const Scratch& scratch, const Spoil& spoil) {
  const ModelConfig config = v3_shaped();
  ModelWeights<Matrix> weights = random_weights(config, 3);
  spoil(weights);
  const std::filesystem::path folder = scratch / "model";
  save_checkpoint(folder, config, hf_tensors(config, std::as_const(weights)), Dtype::f32);
  return folder;
}

const std::vector<Token> prompt = {3, 1, 4, 1, 5, 9, 2, 6};

/// Everything of a forward pass.
Matrix logits(const StreamedModel& model, const std::vector<Token>& tokens) {
  const Inference inference(model.config.model, model.source);
  SequenceState state = inference.start();
  const Matrix h = inference.extend(state, tokens, AttentionForm::naive);
  inference.mtp_logits(h, tokens);
  return inference.logits(h);
}

std::string what_is_said(const std::filesystem::path& folder) {
  const StreamedModel model = open_streamed(folder);  // reads headers: nothing to complain about yet
  return thrown([&] { logits(model, prompt); });
}

constexpr real bad = std::numeric_limits<real>::quiet_NaN();

}  // namespace

TEST_CASE("streamed: values that are no weights are named when the piece that holds them is read, whichever it is") {
  const auto complaint = [](auto spoil) {
    const Scratch scratch;
    return what_is_said(saved(scratch, spoil));
  };
  using W = ModelWeights<Matrix>;
  CHECK(complaint([](W& w) { w.embedding(4, 2) = bad; }) == "\"model.embed_tokens.weight\": is nan at (4, 2)");
  CHECK(complaint([](W& w) { w.head(33, 1) = bad; }) == "\"lm_head.weight\": is nan at (33, 1)");
  CHECK(contains(complaint([](W& w) { w.norm_final.g(0, 1) = bad; }), "model.norm.weight"));
  CHECK(contains(complaint([](W& w) { w.blocks[0].mla.W_O(0, 1) = bad; }), "layers.0.self_attn.o_proj"));
  CHECK(contains(complaint([](W& w) { w.mtp[0].M(0, 1) = bad; }), "layers.2.eh_proj"));
  // What is not read is not looked at: token 7 does not occur.
  CHECK(complaint([](W& w) { w.embedding(7, 2) = bad; }) == "nothing thrown");
}

TEST_CASE("streamed: the experts that tokens reach are read, the others are not touched") {
  const Scratch scratch;
  Index reached = 0, named = 0;
  const std::filesystem::path folder = saved(scratch, [](ModelWeights<Matrix>&) {});
  const StreamedModel model = open_streamed(folder);
  WeightSource source = model.source;
  std::vector<Index> asked;
  source.expert = [&](Index layer, Index i) -> const SwigluWeights<Matrix>& {
    if (layer == 1) asked.push_back(i);
    return model.source.expert(layer, i);
  };
  logits({.config = model.config, .source = source}, prompt);
  for (Index i = 0; i < 16; ++i) {
    const Scratch other;
    const std::string said =
        what_is_said(saved(other, [&](ModelWeights<Matrix>& w) { w.blocks[1].ffn.experts[i].W_up(0, 0) = bad; }));
    reached += std::count(asked.begin(), asked.end(), i);
    named += contains(said, "layers.1.mlp.experts." + std::to_string(i) + ".up_proj");
  }
  CHECK(named == reached);
  CHECK(reached == std::ssize(asked));
  CHECK((reached >= 4 && reached < 16));  // top-4 of 8 tokens, and a test that could fail
}

TEST_CASE("streamed: everything that does not fit is listed before anything is read") {
  const Scratch scratch;
  const std::filesystem::path folder = saved(scratch, [](ModelWeights<Matrix>&) {});
  std::string text = get(folder / "model.safetensors");
  for (const char* const name : {"layers.0.self_attn.o_proj.weight", "lm_head.weight"}) text[text.find(name)] = 'X';
  put(folder / "model.safetensors", text);
  const std::string said = thrown([&] { open_streamed(folder); });
  for (const char* const part : {"layers.0.self_attn.o_proj.weight", "lm_head.weight", "Xayers", "Xm_head"})
    CHECK(contains(said, part));
}

TEST_CASE("streamed: MTP modules that config.json announces but no tensor belongs to are counted and left out") {
  const Scratch scratch;
  ModelConfig config = v3_shaped();
  config.D = 0;
  const ModelWeights<Matrix> weights = random_weights(config, 3);
  save_checkpoint(scratch / "model", config, hf_tensors(config, weights), Dtype::f32);
  std::string text = get(scratch / "model" / "config.json");
  const std::string field = "\"num_nextn_predict_layers\": 0";
  REQUIRE(contains(text, field));
  text.replace(text.find(field), field.size(), "\"num_nextn_predict_layers\": 2");
  put(scratch / "model" / "config.json", text);
  const StreamedModel model = open_streamed(scratch / "model");
  CHECK(model.absent_mtp == 2);
  CHECK(model.config.model.D == 0);
  CHECK(logits(model, prompt).rows() == 8);
}

TEST_CASE("streamed: a token outside the vocabulary is refused") {
  const Scratch scratch;
  const StreamedModel model = open_streamed(saved(scratch, [](ModelWeights<Matrix>&) {}));
  for (const Token wrong : {-1, 40})
    CHECK(thrown<std::invalid_argument>([&] {
            logits(model, {3, wrong});
          }) == "embed: token 1 is " + std::to_string(wrong) + "; the vocabulary is 0 to 39");
}
