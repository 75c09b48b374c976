// SPDX-License-Identifier: MIT
#include "reference/model/loss.hpp"

#include <algorithm>
#include <limits>

#include "reference/core/require.hpp"
#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/demands.hpp"
#include "reference/oracle/ops/ops.hpp"
#include "reference/oracle/twin/twin.hpp"

namespace dsv3::oracle {
namespace {

const std::vector<AttributeSpec>& readings() {
  static const std::vector<AttributeSpec> all{
      convention("reduction", {"mean", "sum", "mean_of_all", "mean_less_one"},
                 "over the tokens that count, by their number; not divided; divided by all T tokens; by T - 1"),
      convention("logits_rounding", {"fp32", "bf16"}, "logits are used as they are, or rounded to BF16 first")};
  return all;
}

/// Targets, checked; no_target for those that do not count.
std::vector<Token> targets_of(const Case& c) {
  const Index V = c.sizes.at("V"), ignored = c.attribute<Index>("ignored");
  std::vector<Token> targets;
  for (const std::int64_t target : integers(c.in("targets"))) {
    require(target == ignored || (target >= 0 && target < V), "targets", target, " is outside 0 to V - 1 = ", V - 1,
            " and not `ignored`, ", ignored);
    targets.push_back(target == ignored ? no_target : static_cast<Token>(target));
  }
  return targets;
}

/// What the sum over tokens is multiplied by.
double weight_of(const Case& c, const std::vector<Token>& targets) {
  const std::string& reduction = c.word("reduction");
  if (reduction == "sum") return 1;
  const auto uncounted = reduction == "mean"            ? std::ranges::count(targets, no_target)
                         : reduction == "mean_less_one" ? 1
                                                        : 0;
  return 1 / static_cast<double>(std::max<Index>(std::ssize(targets) - uncounted, 1));
}

void twin(Twin& t) {
  const std::vector<Token> targets = targets_of(t.call);
  const auto target = [=](Index i) { return Index{targets[static_cast<std::size_t>(i)]}; };
  const bool rounds = t.call.word("logits_rounding") == "bf16";
  const Var l = rounds ? in_format(t.in("logits"), FormatId::bf16) : t.in("logits");
  const Var maximum = row_maxima(l), log_sum = log(row_sums(exp(l - maximum))) + maximum;
  const Var of_target = row_sums(where([=](Index i, Index j) { return j == target(i); }, l, 0));
  const Var losses = where([=](Index i, Index) { return target(i) != no_target; }, log_sum - of_target, 0);
  t.out("losses", losses);
  t.out("loss", weight_of(t.call, targets) * column_sums(losses));
}

/// The losses of all tokens, and their gradient in place of the logits.
std::vector<float> loss_of_rows(const std::vector<Token>& targets, Matrix& logits, double& sum) {
  std::vector<float> losses;
  for (Index i = 0; i < logits.rows(); ++i) {
    const double loss = cross_entropy_row(logits, i, targets[static_cast<std::size_t>(i)]);
    losses.push_back(static_cast<float>(loss));
    sum += loss;
  }
  return losses;
}

std::optional<Tensors> forward(const Case& c) {
  const std::vector<Token> targets = targets_of(c);
  if (c.word("logits_rounding") != "fp32") return {};
  Matrix logits = float_matrix(c.in("logits"));
  double sum = 0;
  const std::vector<float> losses = loss_of_rows(targets, logits, sum);
  const auto loss = static_cast<float>(sum * weight_of(c, targets));
  return Tensors{
      {"loss", tensor(FloatMatrix::Constant(1, 1, loss), {})},
      {"losses", tensor(Eigen::Map<const FloatMatrix>(losses.data(), 1, std::ssize(losses)), {std::ssize(losses)})}};
}

std::optional<Tensors> backward(const Case& c) {
  const std::vector<Token> targets = targets_of(c);
  if (c.word("logits_rounding") != "fp32") return {};
  Matrix dlogits = float_matrix(c.in("logits"));
  double sum = 0;
  loss_of_rows(targets, dlogits, sum);
  dlogits *= static_cast<float>(values(c.in("dloss"))[0] * weight_of(c, targets));
  return Tensors{{"dlogits", tensor(dlogits)}};
}

Tensors drawn_inputs(const std::string& kind, const Sizes& s, Random& random) {
  const Index T = s.at("T"), V = s.at("V");
  constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  FloatMatrix logits = normals(T, V, random, 2);
  std::vector<std::int64_t> targets(static_cast<std::size_t>(T));
  for (std::int64_t& target : targets) target = V == 0 ? s.at("ignored") : random.below(V);
  if (kind == "large") logits = sprinkled(std::move(logits), {80.0f, -80.0f}, 2, random);
  if (kind == "ties") logits = sprinkled(std::move(logits), {5.0f, 4.0f}, 1, random);
  if (kind == "masked") logits = sprinkled(std::move(logits), {-infinity}, 3, random);
  if (kind == "special") logits = sprinkled(std::move(logits), {nan}, 3 * V, random);
  if (kind == "sizes") logits = rows_of_many_sizes(T, V, random, 7);
  for (Index t = 0; t < T; ++t) {
    std::int64_t& target = targets[static_cast<std::size_t>(t)];
    if (kind == "certain" || kind == "masked") logits(t, target) = kind == "certain" ? 25.0f : 1.0f;
    if (kind == "ignored" && random.below(3) == 0) target = s.at("ignored");
  }
  return {{"logits", tensor(logits)}, {"targets", tensor(targets, {T})}};
}

TwinOp cross_entropy() {
  TwinOp t;
  Op& op = t.op;
  op.name = "cross_entropy";
  op.what = "loss = mean over the tokens of -log softmax(logits)[target], the main loss and L^k of MTP (Eq. 24)";
  op.contract =
      "FP32, the largest logit of a token subtracted first; natural logarithm; probabilities below 2^-126 may be lost. "
      "Tokens whose target is `ignored` count neither in the sum nor in what it is divided by; where none counts the "
      "loss is 0. A logit of -infinity has the probability 0; NaN makes the loss NaN. Differs from the report: Eq. "
      "(24) "
      "divides MTP's sum by T where T - k tokens have a target (reduction=mean_of_all).";
  op.inputs = {{"logits", plain_floats(), {"T", "V"}, "of the output head"},
               {"targets", {Dtype::i64, Dtype::i32}, {"T"}, "0 to V - 1, or `ignored`"}};
  op.outputs = {{"loss", {Dtype::f32}, {}, "in nats"}, {"losses", {Dtype::f32}, {"T"}, "of each token", true}};
  op.attributes = {{.name = "ignored",
                    .fallback = Index{-1},
                    .what = "the target of tokens that do not count; -100 in PyTorch",
                    .least = -1000000,
                    .most = -1}};
  op.attributes.insert(op.attributes.end(), readings().begin(), readings().end());
  const Sizes sizes{{"T", 16}, {"V", 200}};
  op.kinds = {{"ordinary", "N(0, 4)", sizes},
              {"ragged", "an odd number of classes", {{"T", 3}, {"V", 77}}},
              {"large", "half of the logits are 80 or -80", sizes},
              {"ties", "each logit is 5 or 4", sizes},
              {"one_class", "V = 1: the loss is 0", {{"T", 4}, {"V", 1}}},
              {"certain", "the target is 25 where the others are N(0, 4): losses near 0", sizes},
              {"ignored", "a third of the tokens does not count", sizes},
              {"masked", "a third of the logits is -infinity", sizes},
              {"sizes", "tokens 2^-7 to 2^7 times as large", sizes},
              {"special", "a few NaN", sizes}};
  op.draw = by_kind_and_sizes(drawn_inputs);
  op.demands = [](const Case& c) {
    if (c.sizes.at("T") > 0) demand_at_least(c, "V", 1, " where there are tokens");
    if (c.inputs.contains("targets")) targets_of(c);
  };
  t.twin = twin;
  t.forward = forward;
  t.gradients = {"logits"};
  t.backward = backward;
  t.backward_contract =
      "dlogits = dloss / (tokens that count) (softmax(logits) - one-hot(target)) in FP32; zeros for tokens that do not "
      "count.";
  return t;
}

}  // namespace

std::vector<Op> loss_ops() { return ops_of(cross_entropy()); }

}  // namespace dsv3::oracle
