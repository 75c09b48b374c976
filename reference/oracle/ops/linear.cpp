// SPDX-License-Identifier: MIT
#include "reference/linear/linear.hpp"

#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/demands.hpp"
#include "reference/oracle/ops/ops.hpp"
#include "reference/oracle/twin/twin.hpp"

namespace dsv3::oracle {
namespace {

Precision precision_of(const Case& c) { return c.word("precision") == "fp32" ? Precision::fp32 : Precision::bf16; }

bool is_transposed(const Case& c) { return c.word("W_layout") == "in_out"; }

/// An operand, or what comes out, as the precision has it.
Var seen(const Case& c, Var x) { return c.word("precision") == "fp32" ? x : in_format(x, FormatId::bf16); }

void twin(Twin& t) {
  const Var W = is_transposed(t.call) ? transposed(t.in("W")) : t.in("W");
  const Var y = product(seen(t.call, t.in("x")), seen(t.call, W));
  t.out("y", t.call.word("result") == "rounded" ? seen(t.call, y) : y);
}

void gradient_twin(Twin& t) {
  const Var W = is_transposed(t.call) ? transposed(t.in("W")) : t.in("W");
  const Var x = seen(t.call, t.in("x")), dy = seen(t.call, t.in("dy"));
  const Var dx = product(dy, transposed(seen(t.call, W))), dW = product(transposed(dy), transposed(x));
  t.out("dx", t.call.word("result") == "rounded" ? seen(t.call, dx) : dx);
  t.out("dW", is_transposed(t.call) ? transposed(dW) : dW);
}

bool has_reference(const Case& c) {
  return !is_transposed(c) && (c.word("result") == "rounded" || c.word("precision") == "fp32");
}

std::optional<Tensors> forward(const Case& c) {
  if (!has_reference(c)) return {};
  return Tensors{{"y", tensor(fprop(float_matrix(c.in("W")), float_matrix(c.in("x")), precision_of(c)))}};
}

std::optional<Tensors> backward(const Case& c) {
  if (!has_reference(c)) return {};
  const Matrix W = float_matrix(c.in("W")), dy = float_matrix(c.in("dy"));
  Matrix dW = Matrix::Zero(W.rows(), W.cols());
  wgrad(dW, dy, float_matrix(c.in("x")), precision_of(c));
  return Tensors{{"dx", tensor(dgrad(W, dy, precision_of(c)))}, {"dW", tensor(dW)}};
}

FloatMatrix numbers(const std::string& kind, Index rows, Index cols, Random& random) {
  FloatMatrix m = of_kind(kind, rows, cols, random, {.outlier = 3000});
  if (kind == "cancelling" && cols > 1) m.rightCols(cols / 2) = m.leftCols(cols / 2);
  return m;
}

Tensors drawn_inputs(const std::string& kind, const Sizes& s, bool with_dy, Random& random) {
  const Index T = s.at("T"), N = s.at("N"), K = s.at("K");
  FloatMatrix x = numbers(kind, T, K, random), W = numbers(kind, N, K, random);
  if (kind == "cancelling" && K > 1) W.rightCols(K / 2) *= -1;
  Tensors inputs{{"x", tensor(x)}, {"W", tensor(W)}};
  if (with_dy) inputs["dy"] = tensor(numbers(kind, T, N, random));
  return inputs;
}

TwinOp linear_op(bool is_backward) {
  TwinOp t;
  Op& op = t.op;
  op.name = is_backward ? "linear_backward" : "linear";
  op.what = is_backward ? "the gradients of linear: dx = dy W and dW = dy^T x" : "y = x W^T: a Linear, without a bias";
  op.contract =
      "precision=fp32: products and sums in FP32, in any order. bf16: all operands are rounded to BF16 first, sums are "
      "FP32, and ";
  op.contract += is_backward ? "dx is rounded to BF16 at the end, dW is not (it is added to FP32)."
                             : "y is rounded to BF16 at the end (result=rounded).";
  op.inputs = {{"x", plain_floats(), {"T", "K"}, "one token per row"},
               {"W", plain_floats(), {"N", "K"}, "weight, [out, in]"}};
  op.outputs = {{"y", {Dtype::f32}, {"T", "N"}, "one token per row"}};
  if (is_backward) {
    op.inputs.push_back({"dy", plain_floats(), {"T", "N"}, "the gradient of y"});
    op.outputs = {{"dx", {Dtype::f32}, {"T", "K"}, "the gradient of x"},
                  {"dW", {Dtype::f32}, {"N", "K"}, "the gradient of W"}};
  }
  op.attributes = {convention("precision", {"fp32", "bf16"}, "of the operands"),
                   convention("result", {"rounded", "fp32"}, "rounded to `precision`, or left in FP32"),
                   convention("W_layout", {"out_in", "in_out"}, "y = x W^T, or y = x W where W is square")};
  const Sizes sizes{{"T", 16}, {"N", 24}, {"K", 128}};
  op.kinds = {{"ordinary", "N(0, 1)", sizes},
              {"bf16", "N(0, 1), operands and result in BF16", sizes, {{"precision", std::string("bf16")}}},
              {"ragged", "odd sizes", {{"T", 3}, {"N", 7}, {"K", 77}}},
              {"square", "N = K, so that W could be transposed", {{"T", 8}, {"N", 32}, {"K", 32}}},
              {"one_signed", "|N(0, 1)|: sums grow", sizes},
              {"sizes", "rows 2^-12 to 2^12 times as large", sizes},
              {"outliers", "one element in 50 is 3000", sizes},
              {"zeros", "every third row is zero", sizes},
              {"cancelling", "the terms of each sum cancel in pairs", sizes}};
  op.draw = [is_backward](const std::string& kind, const Sizes& s, const Attributes&, Random& random) {
    return drawn_inputs(kind, s, is_backward, random);
  };
  op.demands = [](const Case& c) {
    if (is_transposed(c)) demand_square("W", c.sizes.at("N"), c.sizes.at("K"), "W_layout=in_out");
  };
  t.twin = is_backward ? gradient_twin : twin;
  t.forward = is_backward ? backward : forward;
  return t;
}

}  // namespace

std::vector<Op> linear_ops() { return {ops_of(linear_op(false)).front(), ops_of(linear_op(true)).front()}; }

}  // namespace dsv3::oracle
