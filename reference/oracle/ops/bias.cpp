// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <numeric>

#include "reference/core/require.hpp"
#include "reference/moe/balance.hpp"
#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/ops.hpp"
#include "reference/oracle/twin/twin.hpp"

namespace dsv3::oracle {
namespace {

const std::vector<AttributeSpec>& readings() {
  static const std::vector<AttributeSpec> all{
      convention("rule", {"sign", "proportional", "tanh"}, "of the relative violation (mean - load) / mean"),
      convention("direction", {"to_balance", "away"}, "overloaded experts lose, or gain"),
      convention("centred", {"no", "yes"}, "whether the mean of the updates is taken off, as torchtitan does"),
      convention("mean_over", {"all", "loaded"}, "all experts, or those that have a load"),
      convention("compared", {"exactly", "fp32"}, "load and mean as they are, or each rounded to FP32 first"),
      convention("kept_in", {"fp32", "bf16"}, "the bias is FP32, or rounded to BF16")};
  return all;
}

/// Checked: what a training step can count.
std::vector<Index> load_of(const Case& c) {
  const std::vector<std::int64_t> load = integers(c.in("load"));
  for (const std::int64_t n : load)
    require(n >= 0 && n <= Index{1} << 40, "load", n, " tokens; there must be 0 to 2^40");
  return {load.begin(), load.end()};
}

void twin(Twin& t) {
  const std::vector<Index> load = load_of(t.call);
  const auto total = std::accumulate(load.begin(), load.end(), 0.0);
  const auto idle = t.call.word("mean_over") == "loaded" ? std::ranges::count(load, Index{0}) : 0;
  const double n = static_cast<double>(std::ssize(load) - idle), gamma = t.call.attribute<double>("gamma");
  const std::string& rule = t.call.word("rule");
  const bool in_fp32 = t.call.word("compared") == "fp32";
  Estimate step(1, std::ssize(load));
  double sum = 0;
  for (Index i = 0; i < step.cols; ++i) {
    const auto tokens = static_cast<double>(load[static_cast<std::size_t>(i)]);
    const double above = in_fp32 ? n * (static_cast<float>(tokens) - double{static_cast<float>(total / n)})
                                 : n * tokens - total;  // exact, n times
    const double violation = total == 0 ? 0 : -above / total;
    const double sign = above > 0 ? -1 : above < 0 ? 1 : 0;
    step(0, i).value = rule == "sign" ? sign : rule == "tanh" ? std::tanh(violation) : violation;
    sum += step(0, i).value;
  }
  for (Approx& a : step.at) {
    if (t.call.word("centred") == "yes") a.value -= sum / static_cast<double>(step.cols);
    a = widened({gamma * a.value}, (rule == "sign" ? 1 : 8) * u * gamma * std::abs(a.value));
  }
  const Var moved = t.tape.put(std::move(step), {});
  const Var b = t.in("b") + (t.call.word("direction") == "to_balance" ? 1.0 : -1.0) * moved;
  t.out("b", t.call.word("kept_in") == "bf16" ? in_format(b, FormatId::bf16) : b);
}

std::optional<Tensors> forward(const Case& c) {
  const std::vector<Index> load = load_of(c);
  if (!as_usual(c, readings())) return {};
  Matrix b = float_matrix(c.in("b"));
  update_bias(b, load, c.attribute<double>("gamma"));
  return Tensors{{"b", tensor(b, {b.cols()})}};
}

Tensors drawn_inputs(const std::string& kind, const Sizes& sizes, Random& random) {
  const Index N_r = sizes.at("N_r");
  FloatMatrix b = normals(1, N_r, random, 0.01);
  if (kind == "released") b.array() += 5;  // the released biases lie around 5
  std::vector<std::int64_t> load(static_cast<std::size_t>(N_r));
  for (std::int64_t& n : load) {
    n = random.below(kind == "large" ? 1 << 30 : 200);
    if (kind == "equal") n = 8;
    if (kind == "one_off") n = 1000000;
    if (kind == "beyond_fp32") n = (1 << 24) + random.below(4);
    if (kind == "idle" && random.below(2) == 0) n = 0;
  }
  if (kind == "one_off" && N_r > 1) ++load[0], --load[1];
  return {{"b", tensor(b, {N_r})}, {"load", tensor(load, {N_r})}};
}

TwinOp bias_update() {
  TwinOp t;
  Op& op = t.op;
  op.name = "bias_update";
  op.what = "b_i += gamma sign(mean load - load_i) after each step: balancing without a loss (section 2.1.2, Eq. 16)";
  op.contract =
      "The load is compared with the mean exactly: as N_r load_i with the sum of all. Equal: unchanged. A mean in FP32 "
      "differs where loads are some 2^24 and more, and how depends on the order of its sum: compared=fp32 is that of "
      "one rounding. One FP32 addition. The load is that of the whole step over all ranks, each token counted once. "
      "Differs from the report: it does not say what equality does.";
  op.inputs = {{"b", {Dtype::f32}, {"N_r"}, "biases of the experts"},
               {"load", {Dtype::i64, Dtype::i32}, {"N_r"}, "tokens that each expert got, 0 to 2^40"}};
  op.outputs = {{"b", {Dtype::f32}, {"N_r"}, "of the next step"}};
  op.attributes = {{.name = "gamma",
                    .fallback = 0.001,
                    .what = "bias update speed; 0 for the last 500B tokens",
                    .least = 0,
                    .most = 1e6,
                    .convention = true,
                    .others = {0.01, 0.0001}}};
  op.attributes.insert(op.attributes.end(), readings().begin(), readings().end());
  const Sizes sizes{{"N_r", 64}};
  op.kinds = {{"ordinary", "loads of 0 to 199", sizes},
              {"released", "biases around 5, as in the released weights: BF16 would swallow gamma", sizes},
              {"ragged", "11 experts", {{"N_r", 11}}},
              {"equal", "all loads are equal: nothing moves", sizes},
              {"one_off", "loads of a million but for two, one above and one below", sizes},
              {"idle", "half of the experts have no token", sizes},
              {"large", "loads up to 2^30", sizes},
              {"beyond_fp32", "loads of 2^24 to 2^24 + 3, of which FP32 has every other one", sizes}};
  op.draw = by_kind_and_sizes(drawn_inputs);
  t.twin = twin;
  t.forward = forward;
  return t;
}

}  // namespace

std::vector<Op> bias_ops() { return ops_of(bias_update()); }

}  // namespace dsv3::oracle
