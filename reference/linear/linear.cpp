// SPDX-License-Identifier: MIT
#include "reference/linear/linear.hpp"

#include "reference/core/require.hpp"
#include "reference/formats/bf16.hpp"
#include "reference/linear/fp8_linear.hpp"
#include "reference/linear/gemm.hpp"

namespace dsv3 {
namespace {

void require_wgrad(const Matrix& dW, const Shape& dy, const Shape& x) {
  require(dy.rows == x.rows && dW.rows() == dy.cols && dW.cols() == x.cols, "wgrad", "dW is ", shape_text(dW),
          " but dy is ", text(dy), " and x is ", text(x), "; dW needs to be [", dy.cols, ", ", x.cols,
          "] and dy and x as many rows");
}

}  // namespace

Matrix round_to(const Precision& precision, Matrix value) {
  return precision == Precision::fp32 ? std::move(value) : round_to_bf16(std::move(value));
}

Matrix fprop(const Matrix& W, const Matrix& x, const Precision& precision) {
  require(x.cols() == W.cols(), "fprop", "x is ", shape_text(x), " but W is ", shape_text(W), "; x needs ", W.cols(),
          " columns");
  if (precision == Precision::fp8) return fprop_in_fp8(W, x, precision.recipe);
  Matrix y(x.rows(), W.rows());
  if (precision == Precision::fp32) multiply_nt(y, x, W);
  else multiply_nt(y, round_to_bf16(x), round_to_bf16(W));
  return round_to(precision, std::move(y));
}

Matrix dgrad(const Matrix& W, const Matrix& dy, const Precision& precision) {
  require(dy.cols() == W.rows(), "dgrad", "dy is ", shape_text(dy), " but W is ", shape_text(W), "; dy needs ",
          W.rows(), " columns");
  if (precision == Precision::fp8) return dgrad_in_fp8(W, dy, precision.recipe);
  Matrix dx(dy.rows(), W.cols());
  if (precision == Precision::fp32) multiply_nn(dx, dy, W);
  else multiply_nn(dx, round_to_bf16(dy), round_to_bf16(W));
  return round_to(precision, std::move(dx));
}

void wgrad(Matrix& dW, const Matrix& dy, const Matrix& x, const Precision& precision) {
  require_wgrad(dW, shape_of(dy), shape_of(x));
  if (precision == Precision::fp32) add_multiply_tn(dW, dy, x);
  else if (precision == Precision::bf16) add_multiply_tn(dW, round_to_bf16(dy), round_to_bf16(x));
  else wgrad_in_fp8(dW, wgrad_dy(dW, dy, precision.recipe), wgrad_x(dW, x, precision.recipe), precision.recipe);
}

Kept keep_x(const Matrix& weight, Matrix x, const Precision& precision) {
  if (precision == Precision::fp8) return wgrad_x(weight, std::move(x), precision.recipe);
  return x;
}

Kept keep_dy(const Matrix& weight, Matrix dy, const Precision& precision) {
  if (precision == Precision::fp8) return wgrad_dy(weight, std::move(dy), precision.recipe);
  return dy;
}

void wgrad(Matrix& dW, const Kept& dy, const Kept& x, const Precision& precision) {
  require_wgrad(dW, dy.shape(), x.shape());
  Matrix dy_space, x_space;
  if (dy.codes() && x.codes()) wgrad_in_fp8(dW, *dy.codes(), *x.codes(), precision.recipe);
  else wgrad(dW, dy.read(dy_space), x.read(x_space), precision);
}

}  // namespace dsv3
