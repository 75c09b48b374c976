// SPDX-License-Identifier: MIT
#include "reference/linear/fp8_linear.hpp"

#include "reference/formats/bf16.hpp"
#include "reference/linear/amax_histories.hpp"
#include "reference/linear/fp8_products.hpp"

namespace dsv3 {
namespace {

using Operand = AmaxHistories::Operand;

/// An operand of the product with one weight (or gradient of it), which `weight` tells apart from others.
struct Quantiser {
  const Fp8Recipe& recipe;
  const void* weight;

  Quantised operator()(const FloatView& x, Operand operand, const Groups& tiles) const {
    if (recipe.scaling == Scaling::delayed && recipe.histories != nullptr)
      return recipe.histories->quantise(weight, operand, x);
    const FormatId format = operand == Operand::dy ? recipe.gradient : recipe.forward;
    const Groups groups = recipe.scaling == Scaling::fine_grained ? tiles : per_tensor(x.rows(), x.cols());
    return quantise(x, {.format = format, .groups = groups, .scale = recipe.scale});
  }
};

/// The same values in another type; no copy where it is none.
template <class To, class From>
To converted(From&& m) {
  if constexpr (std::is_same_v<To, std::remove_cvref_t<From>>) return std::forward<From>(m);
  else return m.template cast<typename To::Scalar>();
}

/// f(m as FP32), which may change it.
template <class F>
void as_float(Matrix& m, const F& f) {
  if constexpr (std::is_same_v<real, float>) {
    f(m);
  } else {
    FloatMatrix copy = m.cast<float>();
    f(copy);
    m = copy.cast<real>();
  }
}

FloatMatrix bf16_values(Matrix x) { return converted<FloatMatrix>(round_to_bf16(std::move(x))); }

Matrix result(FloatMatrix&& y) { return round_to_bf16(converted<Matrix>(std::move(y))); }

}  // namespace

Matrix fprop_in_fp8(const Matrix& W, const Matrix& x, const Fp8Recipe& recipe) {
  const Quantiser q{recipe, W.data()};
  const Quantised x_q = q(bf16_values(x), Operand::x, tile_1x128);
  const Quantised W_q = q(W.cast<float>(), Operand::W, block_128x128);
  FloatMatrix y(x.rows(), W.rows());
  if (recipe.products != nullptr) recipe.products->fprop(y, x_q, W_q);
  else fp8_fprop(y, operand_of(x_q), operand_of(W_q), recipe.arithmetic);
  return result(std::move(y));
}

Matrix dgrad_in_fp8(const Matrix& W, const Matrix& dy, const Fp8Recipe& recipe) {
  const Quantiser q{recipe, W.data()};
  const Quantised dy_q = q(bf16_values(dy), Operand::dy, recipe.dgrad_groups);
  const Quantised W_q = q(W.cast<float>(), Operand::W, block_128x128);
  FloatMatrix dx(dy.rows(), W.cols());
  if (recipe.products != nullptr) recipe.products->dgrad(dx, dy_q, W_q);
  else fp8_dgrad(dx, operand_of(dy_q), operand_of(W_q), recipe.arithmetic);
  return result(std::move(dx));
}

Quantised wgrad_x(const Matrix& weight, Matrix x, const Fp8Recipe& recipe) {
  const Quantiser q{recipe, weight.data()};
  const bool once = recipe.x_is_kept || recipe.scaling != Scaling::fine_grained;
  if (once) return q(bf16_values(std::move(x)), Operand::x, tile_128x1);
  return requantise(q(bf16_values(std::move(x)), Operand::x, tile_1x128),
                    {.format = recipe.forward, .groups = tile_128x1, .scale = recipe.scale});
}

Quantised wgrad_dy(const Matrix& weight, Matrix dy, const Fp8Recipe& recipe) {
  return Quantiser{recipe, weight.data()}(bf16_values(std::move(dy)), Operand::dy, tile_128x1);
}

void wgrad_in_fp8(Matrix& dW, const Quantised& dy, const Quantised& x, const Fp8Recipe& recipe) {
  as_float(dW, [&](FloatMatrix& sum) {
    if (recipe.products != nullptr) recipe.products->wgrad(sum, dy, x);
    else fp8_wgrad(sum, operand_of(dy), operand_of(x), recipe.arithmetic);
  });
}

}  // namespace dsv3
