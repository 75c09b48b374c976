// SPDX-License-Identifier: MIT
#include "reference/optim/adamw.hpp"

#include <cmath>
#include <limits>

#include "reference/core/require.hpp"
#include "reference/formats/bf16.hpp"
#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/ops.hpp"
#include "reference/oracle/twin/twin.hpp"

namespace dsv3::oracle {
namespace {

const std::vector<AttributeSpec>& readings() {
  static const std::vector<AttributeSpec> all{
      convention("eps_place", {"outside_root", "inside_root", "before_correction"},
                 "sqrt(v_hat) + eps; sqrt(v_hat + eps); (sqrt(v) + eps) / sqrt(1 - beta2^t)"),
      convention(
          "decay", {"decoupled", "coupled", "after", "without_lr", "none"},
          "w -= lr lambda w beside the update; g += lambda w (L2); w (1 - lr lambda) of the updated w; w -= lambda w; "
          "left out"),
      convention("bias_correction", {"both", "none", "first"}, "which moments are divided by 1 - beta^t"),
      convention("update_from", {"fresh", "stored"}, "w moves by the moments before or after they are rounded to BF16"),
      {.name = "step_shift",
       .fallback = Index{0},
       .what = "added to `step` in 1 - beta^t; -1: the first step is 0 there, which is no number at step 1",
       .least = -1,
       .most = 1,
       .convention = true,
       .others = {Index{-1}, Index{0}, Index{1}}}};
  return all;
}

double number(const Case& c, std::string_view name) { return c.attribute<double>(name); }

/// A constant of the update that may have been formed in FP32, off by up to `roundings` u.
Var constant(Tape& tape, double value, double roundings) {
  Estimate one(1, 1);
  one(0, 0) = widened({value}, roundings * u);
  return tape.put(std::move(one), {});
}

/// 1 - beta^t: a beta in FP32 errs t times.
Var correction(Twin& t, const char* beta, bool corrected) {
  const auto step = static_cast<double>(t.call.attribute<Index>("step") + t.call.attribute<Index>("step_shift"));
  const double power = std::pow(number(t.call, beta), step);
  return corrected ? constant(t.tape, 1 - power, step * power + 2) : t.tape.constant(1);
}

/// beta m + (1 - beta) g
Var moving_mean(Twin& t, const char* beta, Var m, Var g) {
  const double b = number(t.call, beta);
  return constant(t.tape, b, b) * m + constant(t.tape, 1 - b, 1) * g;
}

Var stored(const Case& c, Var moment) {
  const std::string& kind = c.word("moments");
  if (kind == "fp32") return moment;
  return in_format(moment, FormatId::bf16, kind == "bf16" ? Rounding::nearest_even : Rounding::toward_zero);
}

void twin(Twin& t) {
  const Case& c = t.call;
  const std::string &place = c.word("eps_place"), &decay = c.word("decay"), &corrected = c.word("bias_correction");
  const double lambda = number(c, "weight_decay"), lr = number(c, "lr"), eps = number(c, "eps");
  const Var p = t.in("p"), g_raw = number(c, "gradient_scale") * t.in("g");
  const Var g = decay == "coupled" ? g_raw + lambda * p : g_raw;
  const Var m = moving_mean(t, "beta1", t.in("m"), g), v = moving_mean(t, "beta2", t.in("v"), g * g);
  const Var m_kept = t.out("m", stored(c, m)), v_kept = t.out("v", stored(c, v));
  const bool fresh = c.word("update_from") == "fresh";
  require(c.attribute<Index>("step") + c.attribute<Index>("step_shift") > 0, "step_shift",
          "makes step 1 step 0; its moments would be divided by 0");

  const Var m_hat = (fresh ? m : m_kept) / correction(t, "beta1", corrected != "none");
  const Var v_now = fresh ? v : v_kept, c_2 = correction(t, "beta2", corrected == "both");
  const Var size = place == "before_correction" ? (sqrt(v_now) + eps) / sqrt(c_2)
                   : place == "inside_root"     ? sqrt(v_now / c_2 + eps)
                                                : sqrt(v_now / c_2) + eps;
  const Var update = m_hat / size;
  if (decay == "decoupled") t.out("p", p - lr * (update + lambda * p));
  else if (decay == "coupled" || decay == "none") t.out("p", p - lr * update);
  else if (decay == "without_lr") t.out("p", p - (lr * update + lambda * p));
  else t.out("p", (1 - lr * lambda) * (p - lr * update));
}

bool is_bf16(const FloatMatrix& m) {
  for (Index i = 0; i < m.size(); ++i)
    if (!std::isnan(m.data()[i]) && float_from_bf16(bf16_from_float(m.data()[i])) != m.data()[i]) return false;
  return true;
}

std::optional<Tensors> forward(const Case& c) {
  FloatMatrix m = float_matrix(c.in("m")), v = float_matrix(c.in("v"));
  const bool bf16 = c.word("moments") != "fp32";
  require(!(v.array() < 0).any(), "v", "a second moment is below 0; it must be a mean of squares");
  if (!as_usual(c, readings()) || c.word("moments") == "bf16_truncated" || (bf16 && !(is_bf16(m) && is_bf16(v))))
    return {};
  Matrix w = float_matrix(c.in("p")), g = float_matrix(c.in("g"));
  const MomentFormat format = bf16 ? MomentFormat::bf16 : MomentFormat::fp32;
  AdamWState state{.step = c.attribute<Index>("step") - 1,
                   .tensors = {{"w", dsv3::shape_of(w), moment_of(m, format), moment_of(v, format)}}};
  const AdamWConfig config{.beta1 = number(c, "beta1"),
                           .beta2 = number(c, "beta2"),
                           .decay = number(c, "weight_decay"),
                           .eps = number(c, "eps"),
                           .moments = format};
  adamw_step(state, {{"w", Role::weight, &w}}, {{"w", Role::weight, &g}}, config,
             {.learning_rate = number(c, "lr"), .gradient_scale = number(c, "gradient_scale")});
  const std::vector<Index> shape{c.sizes.at("N")};
  const TensorMoments& moments = state.tensors[0];
  return Tensors{{"p", tensor(w, shape)},
                 {"m", tensor(values_of(moments.m, dsv3::shape_of(w)), shape)},
                 {"v", tensor(values_of(moments.v, dsv3::shape_of(w)), shape)}};
}

Tensors drawn_inputs(const std::string& kind, const Sizes& s, const Attributes& attributes, Random& random) {
  const Index N = s.at("N");
  constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const bool bf16 = std::get<std::string>(attributes.find("moments")->second) != "fp32";
  FloatMatrix p = normals(1, N, random, 0.02), g = normals(1, N, random, 1e-3), m = normals(1, N, random, 3e-4);
  FloatMatrix v = normals(1, N, random, 1e-3).cwiseAbs2();
  if (kind == "first") m.setZero(), v.setZero();
  if (kind == "small") g *= 1e-7f, m *= 1e-7f, v *= 1e-14f;
  if (kind == "sizes")
    for (Index i = 0; i < N; ++i) g(0, i) *= std::ldexp(1.0f, static_cast<int>(random.below(41)) - 20);
  if (kind == "zeros") {
    g = sprinkled(std::move(g), {0.0f, -0.0f}, 2, random);
    for (Index i = 0; i < N; i += 3) m(0, i) = 0, v(0, i) = 0;
  }
  if (kind == "ties")  // m goes on to the middle between two BF16 numbers, or next to it
    for (Index i = 0; i < N; ++i) {
      m(0, i) = 1 + static_cast<float>(random.below(128)) / 128;
      g(0, i) = m(0, i) + 10.0f / 256 + static_cast<float>(random.below(3) - 1) * 0x1p-22f;
      v(0, i) = g(0, i) * g(0, i);
    }
  if (kind == "special") g = sprinkled(std::move(g), {nan, infinity, -infinity}, 20, random);
  const Dtype moments = bf16 ? Dtype::bf16 : Dtype::f32;
  return {
      {"p", tensor(p, {N})}, {"g", tensor(g, {N})}, {"m", rounded(moments, m, {N})}, {"v", rounded(moments, v, {N})}};
}

AttributeSpec constant_attribute(const char* name, double fallback, const char* what, double most,
                                 bool below_most = false) {
  return {.name = name, .fallback = fallback, .what = what, .least = 0, .most = most, .below_most = below_most};
}

TwinOp adamw() {
  TwinOp t;
  Op& op = t.op;
  op.name = "adamw";
  op.what =
      "m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2, p -= lr (m_hat / (sqrt(v_hat) + eps) + lambda p), "
      "m_hat = m / (1 - beta1^t), v_hat = v / (1 - beta2^t) (section 4.2), moments in BF16 (section 3.3.3)";
  op.contract =
      "FP32, each operation rounded, no fused multiply-add in ours; the constants are formed in double and rounded, "
      "and "
      "may be formed in FP32. p moves by the moments before they are rounded. moments=bf16: m and v are then the "
      "nearest BF16 number, ties to even. What FP32's roundings leave open may decide on which side of a tie a moment "
      "lies: there, and only there, either neighbour will do. A gradient that is NaN or infinite spoils its own "
      "element.";
  op.inputs = {{"p", {Dtype::f32}, {"N"}, "master weights"},
               {"g", plain_floats(), {"N"}, "gradient"},
               {"m", {Dtype::f32, Dtype::bf16}, {"N"}, "first moment"},
               {"v", {Dtype::f32, Dtype::bf16}, {"N"}, "second moment, not negative"}};
  op.outputs = {{"p", {Dtype::f32}, {"N"}, "master weights"},
                {"m", {Dtype::f32}, {"N"}, "first moment; values of BF16 may be written in BF16"},
                {"v", {Dtype::f32}, {"N"}, "second moment, likewise"}};
  op.attributes = {
      {.name = "step", .fallback = Index{1000}, .what = "t, from 1", .least = 1, .most = 1e9},
      constant_attribute("lr", 2.2e-4, "learning rate", 1e3),
      constant_attribute("beta1", 0.9, "of the first moment", 1, true),
      constant_attribute("beta2", 0.95, "of the second moment", 1, true),
      {.name = "eps",
       .fallback = 1e-8,
       .what = "the report does not give it",
       .least = 0,
       .most = 1,
       .above_least = true,
       .convention = true,
       .others = {1e-8, 1e-6, 1e-15}},
      constant_attribute("weight_decay", 0.1, "lambda of matrices; 0 for gains", 1e3),
      constant_attribute("gradient_scale", 1, "of clipping by the norm; multiplies g", 1e6),
      convention("moments", {"fp32", "bf16", "bf16_truncated"}, "FP32; rounded to the nearest BF16 number; cut off")};
  op.attributes.insert(op.attributes.end(), readings().begin(), readings().end());
  const Sizes sizes{{"N", 512}};
  const Attributes bf16{{"moments", std::string("bf16")}};
  op.kinds = {{"ordinary", "step 1000, FP32 moments", sizes},
              {"bf16", "step 1000, BF16 moments", sizes, bf16},
              {"first", "step 1 from moments of 0: every update is +-lr", sizes, {{"step", Index{1}}}},
              {"second", "step 2: the corrections are large", sizes, {{"step", Index{2}}}},
              {"late", "step 100000: nothing is left to correct", sizes, {{"step", Index{100000}}}},
              {"ragged", "an odd number", {{"N", 77}}},
              {"small", "gradients of 1e-10: eps counts", sizes, {{"step", Index{3}}}},
              {"sizes", "gradients 2^-20 to 2^20 times as large", sizes, bf16},
              {"zeros", "gradients of 0 and moments of 0", sizes},
              {"ties", "first moments at the middle of two BF16 numbers", sizes, bf16},
              {"special", "NaN and infinite gradients", sizes, bf16}};
  op.draw = [](const std::string& kind, const Sizes& s, const Attributes& attributes, Random& random) {
    return drawn_inputs(kind, s, attributes, random);
  };
  t.twin = twin;
  t.forward = forward;
  return t;
}

}  // namespace

std::vector<Op> adamw_ops() { return ops_of(adamw()); }

}  // namespace dsv3::oracle
