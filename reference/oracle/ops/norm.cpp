// SPDX-License-Identifier: MIT
#include "reference/norm/rms_norm.hpp"

#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/demands.hpp"
#include "reference/oracle/ops/ops.hpp"
#include "reference/oracle/twin/twin.hpp"

namespace dsv3::oracle {
namespace {

/// mean(x^2) + eps inside the root, or eps beside it.
Var rstd(Twin& t, Var x) {
  const Var mean = (1.0 / static_cast<double>(x.cols())) * row_sums(x * x), one = t.tape.constant(1);
  const double eps = t.call.attribute<double>("eps");
  return t.call.word("eps_place") == "inside_root" ? one / sqrt(mean + eps) : one / (sqrt(mean) + eps);
}

void twin(Twin& t) {
  const Var x = t.in("x"), g = t.in("g");
  Var x_hat = x * rstd(t, x);
  if (t.call.word("x_hat") == "bf16") x_hat = in_format(x_hat, FormatId::bf16);
  t.out("y", x_hat * (t.call.word("gain") == "g" ? g : g + 1));
}

bool has_reference(const Case& c) {
  return c.word("eps_place") == "inside_root" && c.word("gain") == "g" && c.word("x_hat") == "fp32";
}

std::optional<Tensors> forward(const Case& c) {
  if (!has_reference(c)) return {};
  const RmsNorm norm{c.attribute<double>("eps")};
  return Tensors{{"y", tensor(norm.forward({float_matrix(c.in("g"))}, float_matrix(c.in("x")), {}).y)}};
}

std::optional<Tensors> backward(const Case& c) {
  if (!has_reference(c)) return {};
  const RmsNorm norm{c.attribute<double>("eps")};
  const RmsNormWeights<Matrix> p{float_matrix(c.in("g"))};
  auto [dx, deferred] = norm.backward_input(p, {}, float_matrix(c.in("x")), float_matrix(c.in("dy")), {});
  RmsNormWeights<Matrix> grads{Matrix::Zero(1, p.g.cols())};
  norm.backward_weight(std::move(deferred), grads, {});
  return Tensors{{"dx", tensor(dx)}, {"dg", tensor(grads.g, {p.g.cols()})}};
}

Tensors drawn_inputs(const std::string& kind, const Sizes& s, Random& random) {
  const Index T = s.at("T"), d = s.at("d");
  FloatMatrix x = of_kind(kind, T, d, random), g = gains(d, random);
  if (kind == "small") x *= 1e-3f;
  return {{"x", tensor(x)}, {"g", tensor(g, {d})}};
}

}  // namespace

std::vector<Op> norm_ops() {
  const std::vector<Dtype> floats{Dtype::f32, Dtype::bf16, Dtype::f16};
  TwinOp t;
  t.op = {.name = "rms_norm",
          .what = "y = g x / sqrt(mean(x^2) + eps) for each token (section 4.2)",
          .contract =
              "rstd = 1 / sqrt(mean(x^2) + eps), x_hat = x rstd, y = x_hat g in FP32, each rounded once; the sum "
              "of squares in any order. A row of zeros gives zeros; squares that overflow FP32 give zeros too.",
          .inputs = {{"x", floats, {"T", "d"}, "tokens"}, {"g", floats, {"d"}, "gain"}},
          .outputs = {{"y", {Dtype::f32}, {"T", "d"}, "normalised"}},
          .attributes = {{.name = "eps",
                          .fallback = 1e-6,
                          .what = "added to the mean of squares",
                          .least = 0,
                          .most = 1,
                          .convention = true,
                          .others = {1e-5, 1e-6, 1e-8}},
                         {.name = "eps_place",
                          .fallback = std::string("inside_root"),
                          .what = "sqrt(mean + eps), or sqrt(mean) + eps",
                          .choices = {"inside_root", "outside_root"},
                          .convention = true},
                         convention("x_hat", {"fp32", "bf16"},
                                    "multiplied by the gain as it is, or rounded to BF16 first, as transformers does"),
                         {.name = "gain",
                          .fallback = std::string("g"),
                          .what = "multiplied by g, or by 1 + g as in other models",
                          .choices = {"g", "one_plus_g"},
                          .convention = true}},
          .run = {},
          .limits = {},
          .imitate = {},
          .kinds = {},
          .draw = {}};
  const Sizes sizes{{"T", 32}, {"d", 128}};
  t.op.kinds = {{"ordinary", "N(0, 1)", sizes},
                {"ragged", "an odd width", {{"T", 5}, {"d", 77}}},
                {"small", "N(0, 0.001^2): eps counts", sizes},
                {"sizes", "tokens 2^-12 to 2^12 times as large", sizes},
                {"outliers", "one channel in 50 is 300 times larger", sizes},
                {"zeros", "every third token is zero", sizes}};
  t.op.draw = by_kind_and_sizes(drawn_inputs);
  t.op.demands = [](const Case& c) { demand_at_least(c, "d", 1); };
  t.twin = twin;
  t.forward = forward;
  t.gradients = {"x", "g"};
  t.backward = backward;
  t.backward_contract =
      "dx = rstd (g dy - x_hat mean(g dy x_hat)), dg = sum over tokens of dy x_hat, in FP32; sums in any order.";
  return ops_of(t);
}

}  // namespace dsv3::oracle
