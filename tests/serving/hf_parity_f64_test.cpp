// SPDX-License-Identifier: MIT
// The same models computed in double: what is left of the differences is the rounding of transformers' FP32.
#include <functional>

#include "tests/serving/hf_golden.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

struct Mistake {
  std::string what;
  std::function<void(LoadedModel&)> make;
};

GateConfig& gate(LoadedModel& m) { return m.config.moe.gate; }
YarnConfig& yarn(LoadedModel& m) { return m.config.mla.rope.yarn.value(); }

void drop_bias(LoadedModel& m) {
  for (auto& block : m.weights.blocks)
    if (block.ffn.b.size() > 0) block.ffn.b.setZero();
}

const std::vector<Mistake> of_every_model = {
    {"no scaling factor", [](LoadedModel& m) { gate(m).routed_scaling_factor = 1; }},
    {"no groups", [](LoadedModel& m) { gate(m).num_groups = gate(m).kept_groups = 1; }},
    {"one expert less", [](LoadedModel& m) { gate(m).K_r -= 1; }},
    {"epsilon 1e-3", [](LoadedModel& m) { m.config.eps = 1e-3; }},
    {"epsilon 1e-3 of the latents", [](LoadedModel& m) { m.config.mla.eps = 1e-3; }},
    {"another theta", [](LoadedModel& m) { m.config.mla.rope.theta = 20000; }}};

const std::vector<Mistake> of_v3 = {
    {"softmax scores", [](LoadedModel& m) { gate(m).scoring = Scoring::softmax; }},
    {"group score by maximum", [](LoadedModel& m) { gate(m).group_score = GroupScore::maximum; }},
    {"weights not normalised", [](LoadedModel& m) { gate(m).normalise = false; }},
    {"bias left out", drop_bias}};

const std::vector<Mistake> of_v2 = {
    {"sigmoid scores", [](LoadedModel& m) { gate(m).scoring = Scoring::sigmoid; }},
    {"group score by the two best", [](LoadedModel& m) { gate(m).group_score = GroupScore::top2_sum; }},
    {"weights normalised", [](LoadedModel& m) { gate(m).normalise = true; }}};

const std::vector<Mistake> of_yarn = {
    {"no YaRN", [](LoadedModel& m) { m.config.mla.rope.yarn.reset(); }},
    {"no mscale on the logits", [](LoadedModel& m) { yarn(m).mscale_all_dim = yarn(m).mscale = 0; }},
    {"mscale of the other field",
     [](LoadedModel& m) {
       yarn(m).mscale_all_dim = 0.3;
       yarn(m).mscale = 0.3;
     }},
    {"ramp of other constants", [](LoadedModel& m) { yarn(m).beta_slow = 0.25; }},
    {"another factor", [](LoadedModel& m) { yarn(m).factor *= 2; }}};

/// The largest difference of the logits of prompt 0 from the golden ones, over the largest logit.
double logit_difference(const Golden& golden, const LoadedModel& m) {
  const Matrix expected = golden.matrix("prompt.0.logits");
  const Values ours = values_of_prompt(m.config, source_of(m.weights), golden.tokens(0));
  return max_abs(expected - ours.at("logits")) / max_abs(expected);
}

void check_mistakes(const std::string& name, const std::vector<Mistake>& mistakes) {
  const Golden golden(name);
  for (const Mistake& mistake : mistakes) {
    CAPTURE(name);
    CAPTURE(mistake.what);
    LoadedModel model = load_golden(name);
    mistake.make(model);
    CHECK(logit_difference(golden, model) > 20 * agreement);  // an epsilon of 1e-3 is the smallest; most are above 0.2
  }
}

/// -sum of log softmax(logits_i)[targets_i].
double cross_entropy(const Matrix& logits, std::span<const Token> targets) {
  double sum = 0;
  for (Index i = 0; i < logits.rows(); ++i) {
    const double top = double{logits.row(i).maxCoeff()};
    sum += top + std::log((logits.row(i).cast<double>().array() - top).exp().sum()) - double{logits(i, targets[i])};
  }
  return sum;
}

}  // namespace

TEST_CASE("transformers: every intermediate tensor and the logits agree, and every token goes to the same experts") {
  for (const std::string& name : golden_names) {
    CAPTURE(name);
    check_golden(name, 1);
  }
}

TEST_CASE("transformers: a model with any well-known mistake in its configuration does not agree") {
  for (const char* const name : {"v3_yarn", "v3_plain", "v2"}) check_mistakes(name, of_every_model);
  for (const char* const name : {"v3_yarn", "v3_plain"}) check_mistakes(name, of_v3);
  for (const char* const name : {"v3_yarn", "v3_bf16", "v2"}) check_mistakes(name, of_yarn);
  check_mistakes("v2", of_v2);
  check_mistakes("v3_bf16",
                 {{"no factor on cos and sin", [](LoadedModel& m) { yarn(m).mscale = yarn(m).mscale_all_dim; }}});
}

TEST_CASE("transformers: the MTP module agrees in the order [embedding; hidden] only, and with its own norm only") {
  const Golden golden("v3_mtp");
  const Matrix expected = golden.matrix("prompt.0.mtp.logits");
  const auto difference = [&](const LoadedModel& m) {
    const Values ours = values_of_prompt(m.config, source_of(m.weights), golden.tokens(0));
    return max_abs(expected - ours.at("mtp_logits.1")) / max_abs(expected);
  };
  LoadedModel model = load_golden("v3_mtp");
  CHECK(model.config.mtp_order == MtpOrder::embedding_hidden);
  CHECK(difference(model) < agreement);
  LoadedModel order = model, norm = model, exchanged = model;
  order.config.mtp_order = MtpOrder::hidden_embedding;
  CHECK(difference(order) > 0.1);
  norm.weights.mtp[0].norm_out = norm.weights.norm_final;
  CHECK(difference(norm) > 0.1);
  std::swap(exchanged.weights.mtp[0].norm_hidden, exchanged.weights.mtp[0].norm_embedding);
  CHECK(difference(exchanged) > 0.1);
}

TEST_CASE("transformers: the losses that training sees are those of transformers' logits, main model and MTP module") {
  const Golden golden("v3_mtp");
  const LoadedModel model = load_golden("v3_mtp");
  const std::vector<Token> tokens = golden.tokens(0);
  const Batch batch = batch_of(tokens);
  const BatchLoss loss = Model(model.config).loss(model.weights, batch);
  const Index T = batch.length;
  const double main = cross_entropy(golden.matrix("prompt.0.logits").topRows(T), std::span(tokens).subspan(1));
  const double mtp = cross_entropy(golden.matrix("prompt.0.mtp.logits").topRows(T - 1), std::span(tokens).subspan(2));
  CHECK(std::abs(loss.main_sum - main) < agreement * main);
  CHECK(std::abs(loss.mtp_sum.at(0) - mtp) < agreement * mtp);
}

TEST_CASE("transformers: loss and the gradient of every parameter agree; with a mistake they do not") {
  const Golden golden("v3_yarn");
  LoadedModel model = load_golden("v3_yarn");
  CHECK(gradient_differences(golden, model, agreement) == "");
  model.config.mla.rope.yarn->mscale_all_dim = model.config.mla.rope.yarn->mscale = 0.9;
  CHECK(gradient_differences(golden, model, agreement) != "");
}
