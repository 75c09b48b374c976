// SPDX-License-Identifier: MIT
// The FP8 products of experts: the rows of each stand together.
#include "reference/core/require.hpp"
#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/any_order.hpp"
#include "reference/oracle/ops/demands.hpp"
#include "reference/oracle/ops/fp8_words.hpp"

namespace dsv3::oracle {
namespace {

Index num_experts(const Case& c) { return c.sizes.at("E"); }

/// The first row of each expert, and the end.
std::vector<Index> begins(const Case& c) {
  const Index T = c.sizes.at("T");
  std::vector<Index> begin{0};
  for (const std::int64_t count : integers(c.in("counts"))) {
    require(count >= 0 && count <= T - begin.back(), "counts", "one is ", count, " after ", begin.back(),
            " rows; they must be at least 0 and add up to T = ", T);
    begin.push_back(begin.back() + count);
  }
  require(begin.back() == T, "counts", "they add up to ", begin.back(), "; they must add up to T = ", T);
  return begin;
}

void demand_counts(const Case& c) {
  if (c.sizes.at("T") > 0) demand_at_least(c, "E", 1, " where there are rows");
  if (c.inputs.contains("counts")) begins(c);
}

std::vector<Fp8Operand> views(const std::vector<Operand>& operands) {
  std::vector<Fp8Operand> all;
  for (const Operand& operand : operands) all.push_back(operand.view());
  return all;
}

/// y = x W^T or dx = dy W: a weight for each expert.
struct ByRows {
  const char *name, *equation, *a, *out, *depth, *width;
  bool W_transposed;
  void (*product)(FloatOut, const Fp8Operand&, std::span<const Index>, std::span<const Fp8Operand>,
                  const Fp8Arithmetic&);

  std::vector<Operand> weights(const Case& c) const {
    std::vector<Operand> all;
    for (Index e = 0; e < num_experts(c); ++e) all.emplace_back(c, "W", block_128x128, e, num_experts(c));
    return all;
  }
  FloatMatrix run(const Case& c, const Fp8Arithmetic& how) const {
    const Operand x(c, a, tile_1x128);
    const std::vector<Operand> W = weights(c);
    FloatMatrix y(c.sizes.at("T"), c.sizes.at(width));
    product(y, x.view(), begins(c), views(W), how);
    return y;
  }
  Limit limit(const Case& c, const Tensors& ours) const {
    const Operand x(c, a, tile_1x128);
    const Fp8Operand x_view = x.view();
    const std::vector<Operand> W = weights(c);
    const std::vector<Fp8Operand> W_views = views(W);
    const std::vector<Index> begin = begins(c);
    const FloatMatrix y = float_matrix(ours.at(out)), exact = run(c, {exact_sums, ScaleOrder::together});
    std::vector<AnyOrderProduct> products;
    for (std::size_t e = 0; e < W.size(); ++e) {
      Fp8Part rows = whole(x_view, false);
      rows.first = begin[e], rows.size = begin[e + 1] - begin[e];
      products.push_back({rows,
                          whole(W_views[e], W_transposed),
                          y.middleRows(rows.first, rows.size),
                          exact.middleRows(rows.first, rows.size),
                          {}});
    }
    return any_order_limit(products, arithmetic_of(c));
  }
};

/// dW += dy^T x of each expert's rows.
std::vector<Scales> wgrad_of(const Case& c, const Fp8Arithmetic& how) {
  const Operand dy(c, "dy", tile_128x1), x(c, "x", tile_128x1);
  const FloatMatrix before = float_matrix(c.in("dW"));
  const Index N = c.sizes.at("N");
  std::vector<Scales> dW;
  for (Index e = 0; e < num_experts(c); ++e) dW.emplace_back(before.middleRows(e * N, N));
  fp8_wgrad_grouped(dW, dy.view(), x.view(), begins(c), how);
  return dW;
}

Tensors run_wgrad(const Case& c) {
  const Index N = c.sizes.at("N"), K = c.sizes.at("K");
  FloatMatrix all(num_experts(c) * N, K);
  Index e = 0;
  for (const Scales& dW : wgrad_of(c, arithmetic_of(c))) all.middleRows(e++ * N, N) = dW;
  return {{"dW", tensor(all, {num_experts(c), N, K})}};
}

Limit wgrad_limit(const Case& c, const Tensors& ours) {
  const Operand dy(c, "dy", tile_128x1), x(c, "x", tile_128x1);
  const Fp8Operand dy_view = dy.view(), x_view = x.view();
  const std::vector<Index> begin = begins(c);
  const std::vector<Scales> exact = wgrad_of(c, {exact_sums, ScaleOrder::together});
  const FloatMatrix dW = float_matrix(ours.at("dW")), before = float_matrix(c.in("dW"));
  const Index N = c.sizes.at("N");
  std::vector<AnyOrderProduct> products;
  for (std::size_t e = 0; e < exact.size(); ++e) {
    Fp8Part a = whole(dy_view, true), b = whole(x_view, true);
    a.first_k = b.first_k = begin[e], a.depth = b.depth = begin[e + 1] - begin[e];
    const Index row = static_cast<Index>(e) * N;
    products.push_back({a, b, dW.middleRows(row, N), exact[e], before.middleRows(row, N)});
  }
  return any_order_limit(products, arithmetic_of(c));
}

/// T rows over E experts, in whole tiles of `tile` rows but for the last expert's.
Tensor drawn_counts(const std::string& kind, Index T, Index E, Index tile, Random& random) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(E));
  if (E == 0) return tensor(counts, {E});
  for (Index t = 0; t + tile <= T; t += tile)
    counts[static_cast<std::size_t>(kind == "idle" ? E / 2 : random.below(E))] += tile;
  counts.back() += T % tile;
  return tensor(counts, {E});
}

/// Numbers of E experts below each other, each quantised on its own.
void put_experts(Tensors& inputs, const std::string& kind, const Sizes& s, Random& random) {
  const Index E = s.at("E"), N = s.at("N"), K = s.at("K");
  Codes q(E * N, K);
  const Index rows = num_groups(N, 128), cols = num_groups(K, 128);
  Scales scales(E * rows, cols);
  for (Index e = 0; e < E; ++e) {
    const Quantised W = quantise(before_quantising(kind, N, K, random), {.groups = block_128x128});
    q.middleRows(e * N, N) = W.q;
    scales.middleRows(e * rows, rows) = W.s;
  }
  inputs["W_q"] = tensor(Dtype::f8_e4m3, q);
  inputs["W_q"].shape = {E, N, K};
  inputs["W_s"] = tensor(scales, {E, rows, cols});
}

std::vector<CaseKind> grouped_kinds(Index T, Index ragged_T) {
  const Sizes ordinary{{"E", 4}, {"T", T}, {"N", 96}, {"K", 160}};
  const Sizes ragged{{"E", 3}, {"T", ragged_T}, {"N", 131}, {"K", 70}};
  std::vector<CaseKind> kinds = product_kinds(ordinary, ragged, {{"E", 2}, {"T", T}, {"N", 160}, {"K", 160}});
  kinds.push_back({"idle", "one expert has all rows", ordinary});
  return kinds;
}

TensorSpec counts_spec(const char* what) { return {"counts", {Dtype::i64, Dtype::i32}, {"E"}, what}; }

Op op_of(const ByRows& d) {
  Op op;
  op.name = d.name;
  op.what = std::string(d.equation) + " for each expert e, whose rows stand together (sections 3.3.2 and 3.2.2)";
  op.contract = std::string(product_contract()) +
                " The first counts[0] rows are expert 0's, and so on; an expert may have none. Each gets the bits of "
                "the dense product of its rows.";
  op.inputs = operand_specs(d.a, {"T", d.depth}, tile_1x128);
  for (TensorSpec& spec : operand_specs("W", {"N", "K"}, block_128x128, true)) op.inputs.push_back(std::move(spec));
  op.inputs.push_back(counts_spec("rows of each expert, together T"));
  op.outputs = {
      {d.out, {Dtype::f32}, {"T", d.width}, "FP32; BF16 and FP16 are accepted with half a step of their own"}};
  op.attributes = product_attributes(true);
  op.demands = [d](const Case& c) {
    demand_product(c, d.depth, true);
    demand_counts(c);
  };
  op.run = [d](const Case& c) { return Tensors{{d.out, tensor(d.run(c, arithmetic_of(c)))}}; };
  op.limits = [d](const Case& c, const Tensors& ours, const Tensors&) { return Limits{{d.out, d.limit(c, ours)}}; };
  op.kinds = grouped_kinds(48, 19);
  op.draw = [d](const std::string& kind, const Sizes& s, const Attributes&, Random& random) {
    Tensors inputs{{"counts", drawn_counts(kind, s.at("T"), s.at("E"), 1, random)}};
    put_quantised(inputs, d.a, before_quantising(kind, s.at("T"), s.at(d.depth), random), tile_1x128);
    put_experts(inputs, kind, s, random);
    return inputs;
  };
  return op;
}

Op wgrad_op() {
  Op op;
  op.name = "fp8_grouped_wgrad";
  op.what = "W: dW_e += dy^T x of each expert's rows, which stand together (sections 3.3.2 and 3.2.2)";
  op.contract =
      std::string(product_contract()) +
      " The first counts[0] rows are expert 0's, and so on; intervals start with an expert's first row. Tiles "
      "of 128 rows share a scale: counts are multiples of 128, but the last one that is not 0. An expert "
      "without rows keeps its dW.";
  op.inputs = operand_specs("dy", {"T", "N"}, tile_128x1);
  for (TensorSpec& spec : operand_specs("x", {"T", "K"}, tile_128x1)) op.inputs.push_back(std::move(spec));
  op.inputs.push_back(counts_spec("rows of each expert, multiples of 128 but the last, together T"));
  op.inputs.push_back({"dW", {Dtype::f32}, {"E", "N", "K"}, "what it is added to"});
  op.outputs = {{"dW", {Dtype::f32}, {"E", "N", "K"}, "FP32"}};
  op.attributes = product_attributes(false);
  op.demands = [](const Case& c) {
    demand_product(c, "T", false);
    demand_counts(c);
  };
  op.run = run_wgrad;
  op.limits = [](const Case& c, const Tensors& ours, const Tensors&) { return Limits{{"dW", wgrad_limit(c, ours)}}; };
  op.kinds = grouped_kinds(640, 300);
  std::erase_if(op.kinds, [](const CaseKind& kind) { return kind.name == "square"; });  // there is no W
  for (CaseKind& kind : op.kinds) kind.sizes["N"] = 40, kind.sizes["K"] = 64;
  op.draw = [](const std::string& kind, const Sizes& s, const Attributes&, Random& random) {
    Tensors inputs{{"counts", drawn_counts(kind, s.at("T"), s.at("E"), 128, random)}};
    put_quantised(inputs, "dy", before_quantising(kind, s.at("T"), s.at("N"), random), tile_128x1);
    put_quantised(inputs, "x", before_quantising(kind, s.at("T"), s.at("K"), random), tile_128x1);
    inputs["dW"] = tensor(normals(s.at("E") * s.at("N"), s.at("K"), random), {s.at("E"), s.at("N"), s.at("K")});
    return inputs;
  };
  return op;
}

}  // namespace

std::vector<Op> fp8_grouped_ops() {
  const ByRows fprop{"fp8_grouped_fprop", "F: y = x W_e^T", "x", "y", "K", "N", false, fp8_fprop_grouped};
  const ByRows dgrad{"fp8_grouped_dgrad", "B: dx = dy W_e", "dy", "dx", "N", "K", true, fp8_dgrad_grouped};
  return {op_of(fprop), op_of(dgrad), wgrad_op()};
}

}  // namespace dsv3::oracle
