// SPDX-License-Identifier: MIT
#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/any_order.hpp"
#include "reference/oracle/ops/fp8_words.hpp"

namespace dsv3::oracle {
namespace {

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
  return {{d.out, any_order_limit({{whole(a_view, d.a_transposed), whole(b_view, d.b_transposed),
                                    float_matrix(ours.at(d.out)), exact, begin}},
                                  arithmetic_of(c))}};
}

Tensors drawn_inputs(const Direction& d, const std::string& kind, const Sizes& sizes, Random& random) {
  const auto a = shape_of(d.a_shape, sizes), b = shape_of(d.b_shape, sizes), out = shape_of(d.out_shape, sizes);
  Tensors inputs;
  put_quantised(inputs, d.a, before_quantising(kind, a[0], a[1], random), d.a_groups);
  put_quantised(inputs, d.b, before_quantising(kind, b[0], b[1], random), d.b_groups);
  if (d.adds) inputs[d.out] = tensor(normals(out[0], out[1], random));
  return inputs;
}

Op op_of(const Direction& d) {
  Op op;
  op.name = d.name;
  op.what = std::string(d.equation) + ", codes with group scales (section 3.3.2, Figures 6 and 7)";
  op.contract = product_contract();
  op.inputs = operand_specs(d.a, d.a_shape, d.a_groups);
  for (TensorSpec& spec : operand_specs(d.b, d.b_shape, d.b_groups)) op.inputs.push_back(std::move(spec));
  op.outputs = {{d.out, {Dtype::f32}, d.out_shape, "FP32; BF16 and FP16 are accepted with half a step of their own"}};
  op.attributes = product_attributes(!d.adds);
  if (d.adds) op.inputs.push_back({d.out, {Dtype::f32}, d.out_shape, "what it is added to"});
  const char* const depth = d.adds ? "T" : d.b_transposed ? "N" : "K";
  op.demands = [depth, with_W = !d.adds](const Case& c) { demand_product(c, depth, with_W); };
  op.run = [d](const Case& c) { return Tensors{{d.out, tensor(product_of(d, c, arithmetic_of(c)))}}; };
  op.limits = [d](const Case& c, const Tensors& ours, const Tensors&) { return limits_of(d, c, ours); };
  op.kinds = product_kinds({{"T", 64}, {"N", 128}, {"K", 512}}, {{"T", 19}, {"N", 131}, {"K", 300}},
                           {{"T", 16}, {"N", 256}, {"K", 256}});
  if (d.adds) std::erase_if(op.kinds, [](const CaseKind& kind) { return kind.name == "square"; });  // there is no W
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
