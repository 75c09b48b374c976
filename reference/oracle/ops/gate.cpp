// SPDX-License-Identifier: MIT
#include "reference/moe/gate.hpp"

#include <cmath>
#include <numeric>

#include "reference/linear/linear.hpp"
#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/demands.hpp"
#include "reference/oracle/ops/ops.hpp"
#include "reference/oracle/ops/routing.hpp"
#include "reference/oracle/ops/selection.hpp"

namespace dsv3::oracle {
namespace {

void gate_twin(Twin& t) { choose_and_weigh(t, t.out("s", gate_scores(t, product(t.in("x"), t.in("W")))), t.in("b")); }

Tensor tensor_of(const IndexMatrix& m) {
  return tensor(std::vector<std::int64_t>(m.data(), m.data() + m.size()), {m.rows(), m.cols()});
}

std::optional<Tensors> gate_forward(const Case& c) {
  const FloatMatrix W = float_matrix(c.in("W"));
  const auto config = gate_config(c, W.rows());
  if (!config) return {};
  const Routing r = route(*config, W, float_matrix(c.in("b")), float_matrix(c.in("x")));
  return Tensors{{"s", tensor(r.s)},
                 {"experts", tensor_of(r.experts)},
                 {"weights", tensor(r.g)},
                 {"margin", tensor(r.margin, {r.margin.rows()})}};
}

/// Centroids of unit size so that logits are N(0, 1); equal ones where exact ties are wanted.
Tensors drawn_inputs(const std::string& kind, const Sizes& s, Random& random) {
  const Index T = s.at("T"), d = s.at("d"), N_r = s.at("N_r");
  FloatMatrix x = normals(T, d, random),
              W = normals(N_r, d, random, 1 / std::sqrt(std::max<double>(1, static_cast<double>(d))));
  FloatMatrix b = normals(1, N_r, random, 0.05);
  if (kind == "negative_bias") b.array() -= 2;
  if (kind == "released_bias") b.array() += 2;
  if (kind == "large_logits") W *= 30;
  if (kind == "near_ties")
    for (Index i = 1; i < N_r; i += 2) W.row(i) = W.row(i - 1) * (1 + 0x1p-22f), b(0, i) = b(0, i - 1);
  if (kind == "equal_experts")
    for (Index i = 0; i < N_r; ++i) W.row(i) = W.row(i % 3), b(0, i) = 0;
  return {{"x", tensor(x)}, {"W", tensor(W)}, {"b", tensor(b, {N_r})}};
}

std::vector<CaseKind> gate_kinds() {
  const Sizes sizes{{"T", 32}, {"d", 64}, {"N_r", 32}};
  const Attributes v3{{"K_r", Index{8}}, {"num_groups", Index{8}}, {"kept_groups", Index{4}}};
  Attributes v2{{"scoring", std::string("softmax")},
                {"group_score", std::string("maximum")},
                {"normalise", std::string("none")},
                {"routed_scaling_factor", 16.0},
                {"num_groups", Index{8}},
                {"kept_groups", Index{3}},
                {"K_r", Index{6}}};
  return {
      {"ordinary", "logits N(0, 1), biases N(0, 0.05^2); 4 of 32 experts in 2 of 4 groups", sizes},
      {"negative_bias", "biases around -2: a mask of zeros would win", sizes},
      {"released_bias", "biases around 2, as in the released weights", sizes},
      {"large_logits", "scores at 0 and 1, many of them equal", sizes},
      {"near_ties", "pairs of experts that differ by a last bit: the choice is rounding's", sizes},
      {"equal_experts", "three different experts, repeated: exact ties", sizes},
      {"v3", "256 experts, 8 of them in 4 of 8 groups", {{"T", 16}, {"d", 96}, {"N_r", 256}}, v3},
      {"v2", "softmax, maximum of a group, no normalisation; 160 experts", {{"T", 16}, {"d", 96}, {"N_r", 160}}, v2}};
}

std::vector<AttributeSpec> all_attributes() {
  std::vector<AttributeSpec> all = selection_attributes(), others = weight_attributes();
  all.insert(all.end(), others.begin(), others.end());
  return all;
}

TwinOp gate() {
  TwinOp t;
  t.op = {
      .name = "gate",
      .what = "the experts of each token and their weights, Eqs. (13) to (16) with node-limited routing",
      .contract =
          "s = sigmoid(x W^T) in FP32; s + b rounded once; a group's score once more. Chosen: the K_r largest s + b "
          "in the kept groups, experts of other groups counting as -infinity; of equal ones the lowest index. "
          "weights = s / (sum of the chosen s + 1e-20) * routed_scaling_factor. experts are listed by descending "
          "s + b; another order is accepted and said. Another choice is accepted where errors of s within its bound "
          "lead to it; weights are judged for "
          "the experts that theirs chose.",
      .inputs = {{"x", {Dtype::f32, Dtype::bf16}, {"T", "d"}, "tokens, u_t"},
                 {"W", {Dtype::f32, Dtype::bf16}, {"N_r", "d"}, "centroids, e_i"},
                 {"b", {Dtype::f32}, {"N_r"}, "biases of Eq. (16)"}},
      .outputs = {{"s", {Dtype::f32}, {"T", "N_r"}, "scores without bias", true},
                  {"experts", {Dtype::i64}, {"T", "K_r"}, "chosen, by descending s + b"},
                  {"margin", {Dtype::f32}, {"T"}, "how close the choice was, of groups and of experts", true},
                  {"weights", {Dtype::f32}, {"T", "K_r"}, "g of each, in the order of experts"}},
      .attributes = all_attributes(),
      .run = {},
      .limits = {},
      .imitate = {},
      .kinds = gate_kinds(),
      .draw = by_kind_and_sizes(drawn_inputs)};
  t.op.demands = demand_selection;
  t.twin = gate_twin;
  t.forward = gate_forward;
  return t;
}

/// Scores that are given leave nothing to rounding but the weights.
void select_twin(Twin& t) { choose_and_weigh(t, t.in("s"), t.in("b"), "", false); }

TwinOp select() {
  TwinOp t;
  std::vector<AttributeSpec> attributes = selection_attributes();
  for (const AttributeSpec& spec : weight_attributes())
    if (spec.name != "scoring" && spec.name != "gate_precision") attributes.push_back(spec);
  t.op = {
      .name = "gate_select",
      .what = "the same from given scores: nothing but ties is left open, and they are defined",
      .contract =
          "s + b and group scores in FP32, each rounded once; of equal ones the lowest index. The set of experts must "
          "be ours; another order of them is accepted and said.",
      .inputs = {{"s", {Dtype::f32}, {"T", "N_r"}, "scores"}, {"b", {Dtype::f32}, {"N_r"}, "biases of Eq. (16)"}},
      .outputs = {{"experts", {Dtype::i64}, {"T", "K_r"}, "chosen, by descending s + b"},
                  {"weights", {Dtype::f32}, {"T", "K_r"}, "g of each, in the order of experts"}},
      .attributes = attributes,
      .run = {},
      .limits = {},
      .imitate = {},
      .kinds = {},
      .draw = {}};
  const Sizes sizes{{"T", 64}, {"N_r", 32}};
  t.op.kinds = {{"ordinary", "scores in (0, 1), biases N(0, 0.05^2)", sizes},
                {"ties", "scores of four values and no bias: nearly every choice is a tie", sizes},
                {"bf16", "scores rounded to BF16, as V3's model.py has them: one choice in four is a tie", sizes},
                {"negative_bias", "biases around -2: a mask of zeros would win", sizes},
                {"zeros", "all scores 0, biases -1, 0 or 1", sizes}};
  t.op.draw = [](const std::string& kind, const Sizes& s, const Attributes&, Random& random) {
    FloatMatrix scores(s.at("T"), s.at("N_r")), b = normals(1, s.at("N_r"), random, 0.05);
    for (Index i = 0; i < scores.size(); ++i) scores.data()[i] = static_cast<float>(random.uniform());
    if (kind == "ties") scores = (scores.array() * 4).ceil() / 4, b.setZero();
    if (kind == "bf16")
      scores = scores.unaryExpr([](float x) { return decode(FormatId::bf16, encode(FormatId::bf16, x)); }), b.setZero();
    if (kind == "negative_bias") b.array() -= 2;
    if (kind == "zeros") scores.setZero(), b = b.unaryExpr([](float x) { return std::round(20 * x); });
    return Tensors{{"s", tensor(scores)}, {"b", tensor(b, {b.cols()})}};
  };
  t.op.demands = demand_selection;
  t.twin = select_twin;
  t.forward = [](const Case&) { return std::optional<Tensors>(); };
  return t;
}

/// The record of a choice, and the configuration that replays it where the reference has its conventions.
struct Record {
  std::optional<GateConfig> config;
  IndexMatrix experts;

  explicit Record(const Case& c) {
    const std::vector<std::int64_t> flat = integers(c.in("experts"));
    experts = Eigen::Map<const IndexMatrix>(flat.data(), c.sizes.at("T"), c.sizes.at("K_r"));
    if (c.word("normalise") == "all" || c.word("scaled") != "after" || c.word("gate_precision") != "fp32") return;
    config = GateConfig{.N_r = c.sizes.at("N_r"),
                        .K_r = experts.cols(),
                        .scoring = c.word("scoring") == "sigmoid" ? Scoring::sigmoid : Scoring::softmax,
                        .group_score = GroupScore::maximum,
                        .has_bias = false,
                        .normalise = c.word("normalise") == "selected",
                        .routed_scaling_factor = c.attribute<double>("routed_scaling_factor")};
  }
};

void replay_twin(Twin& t) {
  const Index T = t.call.sizes.at("T"), K_r = t.call.sizes.at("K_r");
  const Rows experts = rows_of(integers(t.call.in("experts")), T, K_r);
  const Var s = t.out("s", gate_scores(t, product(t.in("x"), t.in("W"))));
  t.out("weights", gate_weights(t, s, experts));
}

std::optional<Tensors> replay_forward(const Case& c) {
  const Record record(c);
  if (!record.config) return {};
  const Routing r = replay(*record.config, fprop(float_matrix(c.in("W")), float_matrix(c.in("x"))), record.experts);
  return Tensors{{"s", tensor(r.s)}, {"weights", tensor(r.g)}};
}

std::optional<Tensors> replay_backward(const Case& c) {
  const Record record(c);
  if (!record.config) return {};
  const FloatMatrix W = float_matrix(c.in("W")), x = float_matrix(c.in("x"));
  const Routing r = replay(*record.config, fprop(W, x), record.experts);
  const Matrix dlogits = gate_backward(*record.config, r, float_matrix(c.in("dweights")), float_matrix(c.in("ds")));
  Matrix dW = Matrix::Zero(W.rows(), W.cols());
  wgrad(dW, dlogits, x);
  return Tensors{{"dx", tensor(dgrad(W, dlogits))}, {"dW", tensor(dW)}};
}

TwinOp replayed() {
  TwinOp t;
  t.op = {.name = "gate_replay",
          .what = "scores and weights of a choice that was recorded, Eqs. (13) and (15)",
          .contract =
              "As gate; the experts and their order are given. The choice is not differentiable: the gradients "
              "are those of the scores and weights.",
          .inputs = {{"x", {Dtype::f32, Dtype::bf16}, {"T", "d"}, "tokens, u_t"},
                     {"W", {Dtype::f32, Dtype::bf16}, {"N_r", "d"}, "centroids, e_i"},
                     {"experts", {Dtype::i64, Dtype::i32}, {"T", "K_r"}, "the record"}},
          .outputs = {{"s", {Dtype::f32}, {"T", "N_r"}, "scores"},
                      {"weights", {Dtype::f32}, {"T", "K_r"}, "g of each, in the order of the record"}},
          .attributes = weight_attributes(),
          .run = {},
          .limits = {},
          .imitate = {},
          .kinds = {},
          .draw = {}};
  const Sizes sizes{{"T", 32}, {"d", 64}, {"N_r", 32}, {"K_r", 4}};
  t.op.kinds = {
      {"ordinary", "logits N(0, 1), any experts", sizes},
      {"large_logits", "scores at 0 and 1", sizes},
      {"one", "a single expert: its weight is the scaling factor", {{"T", 8}, {"d", 5}, {"N_r", 16}, {"K_r", 1}}},
      {"softmax",
       "scores and weights of V2",
       sizes,
       {{"scoring", std::string("softmax")}, {"normalise", std::string("none")}}}};
  t.op.draw = [](const std::string& kind, const Sizes& s, const Attributes&, Random& random) {
    Tensors inputs = drawn_inputs(kind, s, random);
    inputs.erase("b");
    const Index T = s.at("T"), N_r = s.at("N_r"), K_r = s.at("K_r");
    std::vector<std::int64_t> record;
    for (Index token = 0; token < T; ++token) {
      std::vector<std::int64_t> all(static_cast<std::size_t>(N_r));
      std::iota(all.begin(), all.end(), 0);
      for (Index k = 0; k < K_r; ++k) {
        std::swap(all[static_cast<std::size_t>(k)], all[static_cast<std::size_t>(k + random.below(N_r - k))]);
        record.push_back(all[static_cast<std::size_t>(k)]);
      }
    }
    inputs["experts"] = tensor(record, {T, K_r});
    return inputs;
  };
  t.op.demands = [](const Case& c) {
    demand_top_k(c);
    demand_experts(c, true);
  };
  t.twin = replay_twin;
  t.forward = replay_forward;
  t.gradients = {"x", "W"};
  t.backward = replay_backward;
  t.backward_contract =
      "ds of the weights and of s itself, then through sigmoid or softmax to the logits; dx = dlogits W, dW = "
      "dlogits^T x, "
      "in FP32, sums in any order.";
  return t;
}

}  // namespace

std::vector<Op> gate_ops() {
  std::vector<Op> ops;
  for (const TwinOp& t : {gate(), select(), replayed()})
    for (Op& op : ops_of(t)) ops.push_back(std::move(op));
  return ops;
}

}  // namespace dsv3::oracle
