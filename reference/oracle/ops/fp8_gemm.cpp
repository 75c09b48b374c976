// SPDX-License-Identifier: MIT
#include <cmath>

#include "reference/linear/fp8_gemm.hpp"
#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/any_order.hpp"
#include "reference/oracle/ops/ops.hpp"

namespace dsv3::oracle {
namespace {

const std::vector<Dtype> eight_bits{Dtype::f8_e4m3, Dtype::f8_e5m2};

/// Codes and scales as they came, and as a product reads them.
struct Operand {
  Codes q;
  Scales s;
  Groups groups;
  FormatId format;

  Operand(const Case& c, const std::string& name, Groups shared_by)
      : q(codes(c.in(name + "_q"))),
        s(float_matrix(c.in(name + "_s"))),
        groups(shared_by),
        format(c.in(name + "_q").dtype == Dtype::f8_e5m2 ? FormatId::e5m2 : FormatId::e4m3) {}
  Fp8Operand view() const { return {q, s, groups, values_of(format).data(), dsv3::format(format).min_exponent()}; }
};

/// What tells the three products of a Linear apart (Figure 6).
struct Direction {
  const char *name, *equation, *a, *b, *out;
  ShapeText a_shape, b_shape, out_shape;
  Groups a_groups, b_groups;
  bool a_transposed, b_transposed, adds;
  void (*product)(FloatOut, const Fp8Operand&, const Fp8Operand&, const Fp8Arithmetic&);
};

const std::vector<Direction>& directions() {
  static const std::vector<Direction> all{{"fp8_fprop",
                                           "F: y = x W^T",
                                           "x",
                                           "W",
                                           "y",
                                           {"T", "K"},
                                           {"N", "K"},
                                           {"T", "N"},
                                           tile_1x128,
                                           block_128x128,
                                           false,
                                           false,
                                           false,
                                           fp8_fprop},
                                          {"fp8_dgrad",
                                           "B: dx = dy W",
                                           "dy",
                                           "W",
                                           "dx",
                                           {"T", "N"},
                                           {"N", "K"},
                                           {"T", "K"},
                                           tile_1x128,
                                           block_128x128,
                                           false,
                                           true,
                                           false,
                                           fp8_dgrad},
                                          {"fp8_wgrad",
                                           "W: dW += dy^T x",
                                           "dy",
                                           "x",
                                           "dW",
                                           {"T", "N"},
                                           {"T", "K"},
                                           {"N", "K"},
                                           tile_128x1,
                                           tile_128x1,
                                           true,
                                           true,
                                           true,
                                           fp8_wgrad}};
  return all;
}

ShapeText scale_shape(const ShapeText& shape, Groups groups) {
  const auto along = [](const std::string& n, Index group) { return group == 1 ? n : "ceil(" + n + "/128)"; };
  return {along(shape[0], groups.rows), along(shape[1], groups.cols)};
}

Fp8Arithmetic arithmetic_of(const Case& c) {
  return {accumulation_named(c.word("accumulation")).promoted_every(c.attribute<Index>("promotion")),
          c.word("scale_order") == "together" ? ScaleOrder::together : ScaleOrder::in_turn};
}

FloatMatrix product_of(const Direction& d, const Case& c, const Fp8Arithmetic& how) {
  const Operand a(c, d.a, d.a_groups), b(c, d.b, d.b_groups);
  const std::vector<Index> shape = shape_of(d.out_shape, c.sizes);
  FloatMatrix out = d.adds ? float_matrix(c.in(d.out)) : FloatMatrix(shape[0], shape[1]);
  d.product(out, a.view(), b.view(), how);
  return out;
}

Limits limits_of(const Direction& d, const Case& c, const Tensors& ours) {
  const Operand a(c, d.a, d.a_groups), b(c, d.b, d.b_groups);
  const Fp8Operand a_view = a.view(), b_view = b.view();
  const FloatMatrix exact = product_of(d, c, {exact_sums, ScaleOrder::together});
  const FloatMatrix begin = d.adds ? float_matrix(c.in(d.out)) : FloatMatrix();
  return {{d.out, any_order_limit(whole(a_view, d.a_transposed), whole(b_view, d.b_transposed), arithmetic_of(c),
                                  float_matrix(ours.at(d.out)), exact, begin)}};
}

std::vector<AttributeSpec> gemm_attributes() {
  AttributeSpec accumulation{.name = "accumulation",
                             .fallback = std::string("hopper_fp8_wgmma"),
                             .what = "how a tensor core adds up: see reference/linear/tensor_core.hpp",
                             .convention = true,
                             .by_rounding = true};
  for (const NamedAccumulation& a : accumulations()) accumulation.choices.emplace_back(a.name);
  return {accumulation,
          {.name = "promotion",
           .fallback = Index{128},
           .what = "N_C: products between promotions to FP32 (section 3.3.3); a divisor of 128",
           .least = 1,
           .most = 128},
          {.name = "scale_order",
           .fallback = std::string("together"),
           .what = "acc += p (s_a s_b), or acc += (p s_a) s_b as kernel.py has it",
           .choices = {"together", "in_turn"},
           .convention = true,
           .by_rounding = true}};
}

/// Operands of a kind before they are quantised.
FloatMatrix before(const std::string& kind, Index rows, Index cols, Random& random) {
  if (kind == "one_signed") return positives(rows, cols, random);
  FloatMatrix m = kind == "sizes" ? rows_of_many_sizes(rows, cols, random, 8) : normals(rows, cols, random);
  if (kind == "outliers") return sprinkled(std::move(m), {300.0f, -300.0f}, 200, random);
  if (kind == "zeros")
    for (Index i = 0; i < rows; i += 3) m.row(i).setZero();
  return m;
}

void put_quantised(Tensors& inputs, const std::string& name, const FloatMatrix& m, Groups groups) {
  const Quantised x = quantise(m, {.groups = groups});
  inputs[name + "_q"] = tensor(Dtype::f8_e4m3, x.q);
  inputs[name + "_s"] = tensor(x.s);
}

Tensors drawn_inputs(const Direction& d, const std::string& kind, const Sizes& sizes, Random& random) {
  const auto a = shape_of(d.a_shape, sizes), b = shape_of(d.b_shape, sizes), out = shape_of(d.out_shape, sizes);
  Tensors inputs;
  put_quantised(inputs, d.a, before(kind, a[0], a[1], random), d.a_groups);
  put_quantised(inputs, d.b, before(kind, b[0], b[1], random), d.b_groups);
  if (d.adds) inputs[d.out] = tensor(normals(out[0], out[1], random));
  return inputs;
}

Op op_of(const Direction& d) {
  Op op{.name = d.name,
        .what = std::string(d.equation) + ", codes with group scales (section 3.3.2, Figures 6 and 7)",
        .contract =
            "The contracted dimension is cut from its start into intervals of `promotion` products. Each is "
            "summed without scales as `accumulation` says; acc = fma(sum, s_a s_b, acc) in FP32, ascending, from "
            "0. Judged with bounds that hold for any order inside an interval and of the intervals.",
        .inputs = {{std::string(d.a) + "_q", eight_bits, d.a_shape, "codes"},
                   {std::string(d.a) + "_s", {Dtype::f32}, scale_shape(d.a_shape, d.a_groups), "scales"},
                   {std::string(d.b) + "_q", eight_bits, d.b_shape, "codes"},
                   {std::string(d.b) + "_s", {Dtype::f32}, scale_shape(d.b_shape, d.b_groups), "scales"}},
        .outputs = {{d.out, {Dtype::f32}, d.out_shape, "FP32; BF16 is accepted with half a step of its own"}},
        .attributes = gemm_attributes(),
        .run = {},
        .limits = {},
        .imitate = {},
        .kinds = {},
        .draw = {}};
  if (d.adds) op.inputs.push_back({d.out, {Dtype::f32}, d.out_shape, "what it is added to"});
  op.run = [d](const Case& c) { return Tensors{{d.out, tensor(product_of(d, c, arithmetic_of(c)))}}; };
  op.limits = [d](const Case& c, const Tensors& ours, const Tensors&) { return limits_of(d, c, ours); };
  const Sizes sizes{{"T", 64}, {"N", 128}, {"K", 512}}, ragged{{"T", 19}, {"N", 131}, {"K", 300}};
  op.kinds = {{"ordinary", "N(0, 1), quantised", sizes},
              {"ragged", "no dimension a multiple of 128", ragged},
              {"one_signed", "|N(0, 1)|: truncation adds up", sizes},
              {"outliers", "one element in 200 is 300 times larger", sizes},
              {"sizes", "rows 2^-8 to 2^8 times as large", sizes},
              {"zeros", "every third row is zero", sizes}};
  op.draw = [d](const std::string& kind, const Sizes& s, const Attributes&, Random& random) {
    return drawn_inputs(d, kind, s, random);
  };
  return op;
}

}  // namespace

std::vector<Op> fp8_gemm_ops() {
  std::vector<Op> ops;
  for (const Direction& d : directions()) ops.push_back(op_of(d));
  return ops;
}

}  // namespace dsv3::oracle
