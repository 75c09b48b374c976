// SPDX-License-Identifier: MIT
#include "reference/moe/swiglu.hpp"

#include <limits>
#include <numbers>

#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/ops.hpp"
#include "reference/oracle/twin/twin.hpp"

namespace dsv3::oracle {
namespace {

const std::vector<AttributeSpec>& readings() {
  static const std::vector<AttributeSpec> all{
      convention("gate_half", {"gate", "up"}, "which of the two is activated"),
      convention("activation", {"silu", "gelu_tanh", "sigmoid"},
                 "a Sigmoid(a), the tanh form of a Phi(a), or Sigmoid(a) alone"),
      convention("silu_rounding", {"fp32", "bf16"}, "silu(a) is used as it is, or rounded to BF16 first"),
      {.name = "clamp",
       .fallback = 0.0,
       .what = "a is cut off above it, b above and below; 0: neither is, as in V3",
       .least = 0,
       .most = 1e30,
       .convention = true,
       .others = {7.0, 10.0}}};
  return all;
}

Var cut_above(Var x, double most) {
  return where([=](Index i, Index j) { return !(x.value()(i, j).value > most); }, x, most);
}

Var activated(const Case& c, Var a) {
  const std::string& kind = c.word("activation");
  if (kind == "sigmoid") return sigmoid(a);
  if (kind == "silu") return a * sigmoid(a);
  // 1 + tanh(z) cancels where a is negative. Sigmoid(2 z) would not, but it is not what is in use.
  const Var z = std::sqrt(2 / std::numbers::pi) * (a + 0.044715 * (a * a * a));
  return 0.5 * a * (tanh(z) + 1.0);
}

Var swiglu(const Case& c, Var gate, Var up) {
  if (c.word("gate_half") == "up") std::swap(gate, up);
  if (const double most = c.attribute<double>("clamp"); most > 0) {
    gate = cut_above(gate, most);
    up = -1.0 * cut_above(-1.0 * cut_above(up, most), most);
  }
  const Var a = activated(c, gate);
  return (c.word("silu_rounding") == "bf16" ? in_format(a, FormatId::bf16) : a) * up;
}

Matrix activate(const SwigluFfn::Stored& kept) { return SwigluFfn().recompute({}, kept, {}, {}).z; }

std::optional<Tensors> forward(const Case& c) {
  if (!as_usual(c, readings())) return {};
  return Tensors{{"h", tensor(activate({float_matrix(c.in("gate")), float_matrix(c.in("up"))}))}};
}

std::optional<Tensors> backward(const Case& c) {
  if (!as_usual(c, readings())) return {};
  const auto [da, db] =
      swiglu_backward({float_matrix(c.in("gate")), float_matrix(c.in("up"))}, float_matrix(c.in("dh")));
  return Tensors{{"dgate", tensor(da)}, {"dup", tensor(db)}};
}

Tensors drawn_inputs(const std::string& kind, const Sizes& s, Random& random) {
  const Index T = s.at("T"), f = s.at("f");
  constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  FloatMatrix gate = normals(T, f, random, 2), up = normals(T, f, random, 2);
  if (kind == "saturated")
    gate = sprinkled(std::move(gate), {17.0f, -17.0f, 80.0f, -80.0f, 100.0f, -100.0f, 1000.0f, -1000.0f}, 2, random);
  if (kind == "flat")  // silu is least at -1.2784645: its slope cancels
    gate = (normals(T, f, random, 1e-3).array() - 1.2784645f).matrix();
  if (kind == "sizes") gate = rows_of_many_sizes(T, f, random, 10), up = rows_of_many_sizes(T, f, random, 12);
  if (kind == "outliers") up = sprinkled(std::move(up), {3000.0f, -3000.0f}, 100, random);
  if (kind == "zeros") gate = sprinkled(std::move(gate), {0.0f, -0.0f}, 3, random), set_third_rows_to_zero(up);
  if (kind == "special") {
    gate = sprinkled(std::move(gate), {nan, infinity}, 50, random);
    up = sprinkled(std::move(up), {nan}, 50, random);
  }
  return {{"gate", tensor(gate)}, {"up", tensor(up)}};
}

TwinOp swiglu_op() {
  TwinOp t;
  Op& op = t.op;
  op.name = "swiglu";
  op.what = "h = silu(gate) * up, silu(a) = a Sigmoid(a): between the projections of every FFN (section 2.1.2)";
  op.contract =
      "In FP32: (gate * Sigmoid(gate)) * up, each operation rounded; Sigmoid within a few last bits, and what is below "
      "2^-126 may be lost. Sigmoid(1000) is 1, Sigmoid(-1000) is 0. NaN in either gives NaN; silu(-infinity) is not "
      "defined.";
  op.inputs = {{"gate", plain_floats(), {"T", "f"}, "a = W_gate u"}, {"up", plain_floats(), {"T", "f"}, "b = W_up u"}};
  op.outputs = {{"h", {Dtype::f32}, {"T", "f"}, "what W_down reads"}};
  op.attributes = readings();
  const Sizes sizes{{"T", 16}, {"f", 128}};
  op.kinds = {{"ordinary", "N(0, 4)", sizes},
              {"ragged", "an odd width", {{"T", 3}, {"f", 77}}},
              {"saturated", "gates of 17, 80, 100, 1000 and their negatives", sizes},
              {"flat", "gates around -1.278, where silu has no slope", sizes},
              {"sizes", "rows 2^-10 to 2^10 times as large", sizes},
              {"outliers", "one up in 100 is 3000", sizes},
              {"zeros", "zeros of both signs, and rows of zeros", sizes},
              {"special", "NaN, and gates of +infinity", sizes}};
  op.draw = by_kind_and_sizes(drawn_inputs);
  t.twin = [](Twin& twin) { twin.out("h", swiglu(twin.call, twin.in("gate"), twin.in("up"))); };
  t.forward = forward;
  t.gradients = {"gate", "up"};
  t.backward = backward;
  t.backward_contract =
      "dgate = dh up Sigmoid(gate) (1 + gate (1 - Sigmoid(gate))), dup = dh gate Sigmoid(gate), in FP32, each "
      "operation rounded.";
  return t;
}

/// Codes and scales, and what they stand for.
Tensors coded(const std::string& name, const Quantised& x) {
  return {{name + "_q", tensor(Dtype::f8_e4m3, x.q)}, {name + "_s", tensor(x.s)}};
}

Quantised read_codes(const Case& c, const std::string& name) {
  return {codes(c.in(name + "_q")), float_matrix(c.in(name + "_s")), tile_1x128};
}

/// q(t, i) s(t, i / 128)
Var dequantised(Var q, Var s) {
  std::vector<Index> tile_of;
  for (Index i = 0; i < q.cols(); ++i) tile_of.push_back(i / 128);
  return q * columns(s, tile_of);
}

Quantised kept(const Case& c, const std::string& name) {
  return quantise(float_matrix(c.in(name)),
                  {.scale = scale_named(c.word("scale")), .dialect = dialect_named(c.word("dialect"))});
}

std::vector<TensorSpec> coded_specs(const std::string& name) {
  return {{name + "_q", {Dtype::f8_e4m3}, {"T", "f"}, name + " in E4M3"},
          {name + "_s", {Dtype::f32}, {"T", "ceil(f/128)"}, "its scales, one for 128 channels of a token"}};
}

void cached_twin(Twin& t) {
  const auto read_back = [&](const std::string& name) {
    if (t.call.word("h_from") == "values") return t.in(name);
    const Tensors ours = coded(name, kept(t.call, name));
    const auto as_var = [&](const std::string& part) {
      const Tensor found = t.theirs_or(name + part, ours.at(name + part));
      const Shape shape = rows_and_cols(found.shape);
      Estimate e(shape.rows, shape.cols);
      const Doubles numbers = values(found);
      for (std::size_t i = 0; i < numbers.size(); ++i) e.at[i].value = numbers[i];
      return t.tape.input(std::move(e));
    };
    return dequantised(as_var("_q"), as_var("_s"));
  };
  t.out("h", swiglu(t.call, read_back("gate"), read_back("up")));
}

std::optional<Tensors> cached_forward(const Case& c) {
  const Quantised gate = kept(c, "gate"), up = kept(c, "up");
  Tensors outputs = coded("gate", gate);
  outputs.merge(coded("up", up));
  if (c.word("h_from") == "codes" && as_usual(c, readings())) outputs["h"] = tensor(activate({gate, up}));
  return outputs;
}

TwinOp cached_op() {
  TwinOp t = swiglu_op();
  Op& op = t.op;
  op.name = "swiglu_fp8_cached";
  op.what =
      "what training keeps of SwiGLU: its inputs in FP8, and the output that the backward pass recomputes from them "
      "(section 3.3.3)";
  op.contract =
      "gate and up in E4M3, tiles of 1x128 along the channels, scales by `scale` and `dialect`: every bit of codes and "
      "scales is defined. h = silu(gate) * up from the dequantised codes (code times scale, rounded once), as in "
      "`swiglu`; it is judged from your codes.";
  op.outputs = coded_specs("gate");
  for (TensorSpec& spec : coded_specs("up")) op.outputs.push_back(std::move(spec));
  op.outputs.push_back({"h", {Dtype::f32}, {"T", "f"}, "recomputed"});
  op.attributes.push_back(scale_attribute());
  op.attributes.push_back(dialect_attribute());
  op.attributes.push_back(
      convention("h_from", {"codes", "values"}, "h is that of the backward or of the forward pass"));
  std::erase_if(op.kinds, [](const CaseKind& kind) { return kind.name == "flat"; });
  for (CaseKind& kind : op.kinds)
    if (kind.name != "ragged") kind.sizes = {{"T", 16}, {"f", 256}};
    else kind.sizes = {{"T", 3}, {"f", 300}};
  t.twin = cached_twin;
  t.forward = cached_forward;
  t.gradients.clear();
  t.backward = {};
  return t;
}

void from_codes_twin(Twin& t) {
  const Var gate = dequantised(t.in("gate_q"), t.in("gate_s")), up = dequantised(t.in("up_q"), t.in("up_s"));
  const Var h = swiglu(t.call, gate, up);
  t.tape.backward({{h, t.in("dh").value()}});
  t.out("h", h);
  t.out("dgate", t.tape.input(t.tape.gradient(gate)));
  t.out("dup", t.tape.input(t.tape.gradient(up)));
}

std::optional<Tensors> from_codes(const Case& c) {
  if (!as_usual(c, readings())) return {};
  const Quantised gate = read_codes(c, "gate"), up = read_codes(c, "up");
  const auto [da, db] = swiglu_backward({gate, up}, float_matrix(c.in("dh")));
  return Tensors{{"h", tensor(activate({gate, up}))}, {"dgate", tensor(da)}, {"dup", tensor(db)}};
}

TwinOp cached_backward_op() {
  TwinOp t = cached_op();
  Op& op = t.op;
  op.name = "swiglu_fp8_cached_backward";
  op.what = "the backward pass of SwiGLU from inputs that were kept in FP8 (section 3.3.3), and the recomputed output";
  op.contract =
      "gate and up are code times scale, rounded to FP32 once; h = silu(gate) * up; dgate = dh up Sigmoid(gate) (1 + "
      "gate (1 - Sigmoid(gate))), dup = dh gate Sigmoid(gate), in FP32, each operation rounded.";
  op.inputs = coded_specs("gate");
  for (TensorSpec& spec : coded_specs("up")) op.inputs.push_back(std::move(spec));
  op.inputs.push_back({"dh", {Dtype::f32}, {"T", "f"}, "the gradient of h"});
  op.outputs = {{"h", {Dtype::f32}, {"T", "f"}, "recomputed", true},
                {"dgate", {Dtype::f32}, {"T", "f"}, "the gradient of gate"},
                {"dup", {Dtype::f32}, {"T", "f"}, "the gradient of up"}};
  op.attributes = readings();
  op.draw = [](const std::string& kind, const Sizes& s, const Attributes&, Random& random) {
    const Tensors values = drawn_inputs(kind, s, random);
    Tensors inputs{{"dh", tensor(normals(s.at("T"), s.at("f"), random))}};
    for (const char* name : {"gate", "up"}) inputs.merge(coded(name, quantise(float_matrix(values.at(name)))));
    return inputs;
  };
  t.twin = from_codes_twin;
  t.forward = from_codes;
  return t;
}

}  // namespace

std::vector<Op> swiglu_ops() {
  std::vector<Op> ops;
  for (const TwinOp& t : {swiglu_op(), cached_op(), cached_backward_op()})
    for (Op& op : ops_of(t)) ops.push_back(std::move(op));
  return ops;
}

}  // namespace dsv3::oracle
