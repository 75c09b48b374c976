// SPDX-License-Identifier: MIT
#include "reference/linear/fp8_linear.hpp"

#include <cmath>

#include "reference/core/bytes.hpp"
#include "reference/formats/bf16.hpp"
#include "reference/linear/amax_histories.hpp"
#include "reference/linear/linear.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// kernel.py by hand: s = max(amax, 1e-4) / 448 of a group, the value of each code times nothing.
struct ByHand {
  Matrix q, s;  ///< values of the codes; the scale of each element
};

ByHand by_hand(const Matrix& x, Index rows, Index cols) {
  ByHand out{x, x};
  for (Index i = 0; i < x.rows(); i += rows)
    for (Index j = 0; j < x.cols(); j += cols) {
      const Index r = std::min(rows, x.rows() - i), c = std::min(cols, x.cols() - j);
      const float s = std::max(static_cast<float>(x.block(i, j, r, c).cwiseAbs().maxCoeff()), 1e-4F) / 448.0F;
      for (Index a = i; a < i + r; ++a)
        for (Index b = j; b < j + c; ++b) {
          out.s(a, b) = s;
          out.q(a, b) = decode(FormatId::e4m3, encode(FormatId::e4m3, static_cast<float>(x(a, b)) / s));
        }
    }
  return out;
}

Matrix values_of(const ByHand& x) { return x.q.cwiseProduct(x.s); }

/// sum_k a(i, k) b(j, k) as promoted sums: FP32 chains of 128 products of codes, each added with its two scales.
Matrix product(const ByHand& a, const ByHand& b, const Matrix* start = nullptr) {
  Matrix out(a.q.rows(), b.q.rows());
  for (Index i = 0; i < out.rows(); ++i)
    for (Index j = 0; j < out.cols(); ++j) {
      float sum = 0;
      for (Index k = 0; k < a.q.cols(); k += 128) {
        float chain = 0;
        for (Index d = k; d < std::min(a.q.cols(), k + 128); ++d)
          chain += static_cast<float>(a.q(i, d)) * static_cast<float>(b.q(j, d));  // the product is exact
        sum = std::fma(chain, static_cast<float>(a.s(i, k)) * static_cast<float>(b.s(j, k)), sum);
      }
      out(i, j) = start ? static_cast<float>((*start)(i, j)) + sum : sum;
    }
  return out;
}

bool same_codes(const Quantised& a, const Quantised& b) {
  return a.q == b.q && a.s == b.s && a.groups == b.groups && a.format == b.format;
}

ByHand turned(const ByHand& x) { return {x.q.transpose(), x.s.transpose()}; }

}  // namespace

TEST_CASE("fp8 linear: F, B and W are Figure 7 by hand, bit for bit, ragged blocks included") {
  const Matrix W = probe(150, 300, 1), x = round_to_bf16(probe(140, 300, 2)), dy = round_to_bf16(probe(140, 150, 3));
  const Fp8Recipe recipe;
  CHECK(different(fprop_in_fp8(W, x, recipe), round_to_bf16(product(by_hand(x, 1, 128), by_hand(W, 128, 128)))) == "");
  CHECK(different(dgrad_in_fp8(W, dy, recipe),
                  round_to_bf16(product(by_hand(dy, 1, 128), turned(by_hand(W, 128, 128))))) == "");
  const Matrix before = probe(150, 300, 4), x_seen = values_of(by_hand(x, 1, 128));
  Matrix dW = before;
  wgrad(dW, dy, x, recipe);
  CHECK(different(dW, product(turned(by_hand(dy, 128, 1)), turned(by_hand(x_seen, 128, 1)), &before)) == "");
  dW = before;
  Fp8Recipe kept = recipe;
  kept.x_is_kept = true;
  wgrad(dW, dy, x, kept);
  CHECK(different(dW, product(turned(by_hand(dy, 128, 1)), turned(by_hand(x, 128, 1)), &before)) == "");
}

TEST_CASE("fp8 linear: activations and gradients are rounded to BF16 first, the master weight is not") {
  const Matrix W = probe(8, 128, 1), x = probe(3, 128, 2), dy = probe(3, 8, 3);
  REQUIRE(different(W, round_to_bf16(W)) != "");
  const Fp8Recipe recipe;
  CHECK(different(fprop_in_fp8(W, x, recipe), fprop_in_fp8(W, round_to_bf16(x), recipe)) == "");
  CHECK(different(dgrad_in_fp8(W, dy, recipe), dgrad_in_fp8(W, round_to_bf16(dy), recipe)) == "");
  CHECK(different(fprop_in_fp8(W, x, recipe),
                  round_to_bf16(product(by_hand(round_to_bf16(x), 1, 128), by_hand(W, 128, 128)))) == "");
}

TEST_CASE("fp8 linear: the precision fp8 reaches the three products of Linear") {
  const Matrix W = probe(20, 130, 1), x = probe(9, 130, 2), dy = probe(9, 20, 3);
  const Precision fp8 = Precision::fp8;
  CHECK(different(fprop(W, x, fp8), fprop_in_fp8(W, x, fp8.recipe)) == "");
  CHECK(different(dgrad(W, dy, fp8), dgrad_in_fp8(W, dy, fp8.recipe)) == "");
  Matrix dW = probe(20, 130, 4), expected = dW;
  wgrad(dW, dy, x, fp8);
  wgrad_in_fp8(expected, wgrad_dy(W, dy, fp8.recipe), wgrad_x(W, x, fp8.recipe), fp8.recipe);
  CHECK(different(dW, expected) == "");
  CHECK(different(fprop(W, x, fp8), fprop(W, x, Precision::bf16)) != "");
}

TEST_CASE("fp8 linear: operands wait for W as codes, a quarter of the bytes; dW has the bits of the matrices") {
  const Matrix W = probe(256, 384, 1), x = probe(256, 384, 2), dy = probe(256, 256, 3);
  for (const Fp8Recipe& recipe :
       {Fp8Recipe{}, Fp8Recipe{.gradient = FormatId::e5m2}, Fp8Recipe{.scaling = Scaling::per_tensor},
        Fp8Recipe{.scale = ScaleKind::ue8m0_ceil}, Fp8Recipe{.x_is_kept = true}}) {
    const Kept x_kept = keep_x(W, x, recipe), dy_kept = keep_dy(W, dy, recipe);
    CHECK(bytes_of(x_kept) < 0.26 * static_cast<double>(256 * 384 * sizeof(float)));  // a scale for each 128 codes
    CHECK(bytes_of(dy_kept) < 0.26 * static_cast<double>(256 * 256 * sizeof(float)));
    Matrix dW = probe(256, 384, 4), expected = dW;
    wgrad(dW, dy_kept, x_kept, recipe);
    wgrad(expected, dy, x, recipe);
    CHECK(different(dW, expected) == "");
  }
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {  // as they are, and rounded by W
    CHECK(different(keep_x(W, x, precision).value(), x) == "");
    CHECK(different(keep_dy(W, dy, precision).value(), dy) == "");
    Matrix dW = probe(256, 384, 4), expected = dW;
    wgrad(dW, keep_dy(W, dy, precision), keep_x(W, x, precision), precision);
    wgrad(expected, dy, x, precision);
    CHECK(different(dW, expected) == "");
  }
  Matrix dW = W;
  CHECK_THROWS_WITH(wgrad(dW, keep_dy(W, dy, Precision::fp8), keep_x(W, dy, Precision::fp8), Precision::fp8),
                    "wgrad: dW is [256, 384] but dy is [256, 256] and x is [256, 256]; dW needs to be [256, 256] and "
                    "dy and x as many rows");
}

TEST_CASE("fp8 linear: W, too, rounds its operands to BF16 first, each of them, kept or not") {
  const Matrix W = probe(130, 20, 1), x = probe(140, 20, 2), dy = probe(140, 130, 3);
  for (const bool kept : {false, true}) {
    const Fp8Recipe recipe{.x_is_kept = kept};
    const Quantised x_q = wgrad_x(W, x, recipe), dy_q = wgrad_dy(W, dy, recipe);
    CHECK(same_codes(x_q, wgrad_x(W, round_to_bf16(x), recipe)));
    CHECK(same_codes(dy_q, wgrad_dy(W, round_to_bf16(dy), recipe)));
  }
  const Quantised not_rounded = quantise(x.cast<float>(), {.groups = tile_128x1});
  CHECK(!same_codes(not_rounded, wgrad_x(W, x, {.x_is_kept = true})));
}

TEST_CASE(
    "fp8 linear: formats, scales and groups of what W reads are the recipe's, also the second time x is quantised") {
  const Matrix W = probe(130, 200, 1), x = round_to_bf16(probe(140, 200, 2)), dy = round_to_bf16(probe(140, 130, 3));
  for (const FormatId forward : {FormatId::e4m3, FormatId::e5m2})
    for (const ScaleKind scale : {ScaleKind::fp32, ScaleKind::ue8m0_ceil})
      for (const bool kept : {false, true}) {
        Fp8Recipe recipe{.forward = forward, .gradient = FormatId::e5m2, .scale = scale, .x_is_kept = kept};
        const Quantisation tokens{.format = forward, .groups = tile_128x1, .scale = scale};
        const Quantised seen = quantise(x.cast<float>(), {.format = forward, .groups = tile_1x128, .scale = scale});
        CHECK(same_codes(wgrad_x(W, x, recipe), kept ? quantise(x.cast<float>(), tokens) : requantise(seen, tokens)));
        CHECK(same_codes(wgrad_dy(W, dy, recipe),
                         quantise(dy.cast<float>(), {.format = FormatId::e5m2, .groups = tile_128x1, .scale = scale})));
        recipe.scaling = Scaling::per_tensor;
        const Quantisation whole{.format = forward, .groups = per_tensor(140, 200), .scale = scale};
        CHECK(same_codes(wgrad_x(W, x, recipe), quantise(x.cast<float>(), whole)));
      }
}

TEST_CASE("fp8 linear: all three products add up as the recipe's arithmetic says") {
  const Matrix W = probe(140, 300, 1), x = round_to_bf16(probe(260, 300, 2)), dy = round_to_bf16(probe(260, 140, 3));
  const Fp8Recipe plain, hopper{.arithmetic = {hopper_fp8_wgmma, ScaleOrder::in_turn}};
  const Quantised x_q = quantise(x.cast<float>()), dy_q = quantise(dy.cast<float>());
  const Quantised W_q = quantise(W.cast<float>(), {.groups = block_128x128});
  FloatMatrix y(260, 140), dx(260, 300);
  fp8_fprop(y, operand_of(x_q), operand_of(W_q), hopper.arithmetic);
  fp8_dgrad(dx, operand_of(dy_q), operand_of(W_q), hopper.arithmetic);
  CHECK(different(fprop_in_fp8(W, x, hopper), round_to_bf16(y.cast<real>())) == "");
  CHECK(different(dgrad_in_fp8(W, dy, hopper), round_to_bf16(dx.cast<real>())) == "");
  CHECK(different(fprop_in_fp8(W, x, hopper), fprop_in_fp8(W, x, plain)) != "");
  CHECK(different(dgrad_in_fp8(W, dy, hopper), dgrad_in_fp8(W, dy, plain)) != "");
  FloatMatrix sum = FloatMatrix::Zero(140, 300);
  Matrix dW = Matrix::Zero(140, 300), dW_plain = dW;
  fp8_wgrad(sum, operand_of(wgrad_dy(W, dy, plain)), operand_of(wgrad_x(W, x, plain)), hopper.arithmetic);
  wgrad(dW, dy, x, hopper);
  wgrad(dW_plain, dy, x, plain);
  CHECK(different(dW, sum.cast<real>()) == "");
  CHECK(different(dW, dW_plain) != "");
}

TEST_CASE("fp8 linear: a hybrid recipe has gradients in E5M2 and the rest in E4M3") {
  const Matrix W = probe(16, 128, 1), x = probe(4, 128, 2), dy = probe(4, 16, 3);
  const Fp8Recipe plain, hybrid{.gradient = FormatId::e5m2};
  CHECK(different(fprop_in_fp8(W, x, hybrid), fprop_in_fp8(W, x, plain)) == "");
  const Matrix exact = dgrad(W, dy), fine = dgrad_in_fp8(W, dy, plain), coarse = dgrad_in_fp8(W, dy, hybrid);
  CHECK((coarse - exact).norm() > 1.4 * (fine - exact).norm());  // twice the distance between codes
  CHECK((coarse - exact).norm() < 0.1 * exact.norm());
}

TEST_CASE("fp8 linear: appendix B.2, one token far larger than its block: tiles keep the others, blocks lose them") {
  const Matrix W = Matrix::Identity(128, 128);  // dx = dy: what is left of each gradient
  Fp8Recipe blocks;
  blocks.dgrad_groups = block_128x128;
  // of the other tokens' gradients, the part that is further off than a normal code can be: 2^-4, and 2^-8 for BF16
  const auto spoilt = [&](real factor, const Fp8Recipe& recipe) {
    Matrix dy = probe(128, 128, 1);
    dy.row(5) *= factor;
    const Matrix seen = round_to_bf16(dy), dx = dgrad_in_fp8(W, dy, recipe);
    Index off = 0;
    for (Index t = 0; t < 128; ++t)
      for (Index j = 0; j < 128; ++j)
        off += t != 5 && !(std::abs(dx(t, j) - seen(t, j)) <= real(0x1p-4 + 0x1p-8) * std::abs(seen(t, j)));
    return static_cast<double>(off) / (127 * 128);
  };
  for (const real factor : {real(1e3), real(1e5), real(1e7)}) CHECK(spoilt(factor, {}) < 1e-3);
  CHECK(spoilt(1, blocks) < 1e-3);
  // E4M3 is wide: below its least normal number, 2^-6 of 448, lie 3.5% of a row that is 1000 times smaller
  CHECK(spoilt(1e3, blocks) > 0.01);
  CHECK(spoilt(1e5, blocks) > 0.7);
  CHECK(spoilt(1e7, blocks) == 1);  // all are 0
}

TEST_CASE("fp8 linear: one scale per tensor; delayed, it is that of the tensors before") {
  Matrix W = probe(16, 256, 1), dW = W;
  const Matrix x = probe(4, 256, 2);
  const Fp8Recipe per_tensor{.scaling = Scaling::per_tensor};
  CHECK(different(fprop_in_fp8(W, x, per_tensor),
                  round_to_bf16(product(by_hand(round_to_bf16(x), 4, 256), by_hand(W, 16, 256)))) == "");
  Fp8Recipe delayed{.scaling = Scaling::delayed};
  CHECK(different(fprop_in_fp8(W, x, delayed), fprop_in_fp8(W, x, per_tensor)) == "");  // no history: none is used
  const std::vector<NamedTensor> weights{{"W", Role::weight, &W}}, gradients{{"W", Role::weight, &dW}};
  std::vector<LinearAmaxes> amaxes = empty_amaxes(weights, delayed);
  AmaxHistories histories(amaxes, weights, gradients);
  delayed.histories = &histories;
  const Matrix exact = fprop(W, x), first = fprop_in_fp8(W, x, delayed);
  CHECK(different(fprop_in_fp8(W, x, delayed), first) == "");  // B, too, sees what F saw
  histories.end_step();
  const Matrix second = fprop_in_fp8(W, x, delayed);
  CHECK(different(first, second) != "");  // the first step knew nothing: scale 1
  CHECK((second - exact).norm() < 0.1 * exact.norm());
  const Matrix larger = 1000 * x;  // the history has not seen this
  const Matrix exact_larger = fprop(W, larger), cut = fprop_in_fp8(W, larger, delayed);
  histories.end_step();
  CHECK((cut - exact_larger).norm() > 0.5 * exact_larger.norm());
  CHECK((fprop_in_fp8(W, larger, delayed) - exact_larger).norm() < 0.1 * exact_larger.norm());
}

TEST_CASE("fp8 linear: histories have the formats of their operands; what a step did not use is not recorded") {
  Matrix W = probe(16, 256, 1), V = W, dW = W, dV = W;
  const std::vector<NamedTensor> weights{{"W", Role::weight, &W}, {"g", Role::gain, &W}, {"V", Role::weight, &V}},
      gradients{{"W", Role::weight, &dW}, {"g", Role::gain, &dW}, {"V", Role::weight, &dV}};
  Fp8Recipe recipe{.forward = FormatId::e4m3, .gradient = FormatId::e5m2, .scaling = Scaling::delayed};
  std::vector<LinearAmaxes> amaxes = empty_amaxes(weights, recipe);
  REQUIRE(amaxes.size() == 2);
  for (const LinearAmaxes& linear : amaxes) {
    CHECK(linear.of[0].format() == FormatId::e4m3);
    CHECK(linear.of[1].format() == FormatId::e4m3);
    CHECK(linear.of[2].format() == FormatId::e5m2);
  }
  CHECK(empty_amaxes(weights, {.scaling = Scaling::per_tensor}).empty());
  AmaxHistories histories(amaxes, weights, gradients);
  recipe.histories = &histories;
  const std::vector<LinearAmaxes> before = amaxes;
  dgrad_in_fp8(V, probe(4, 16, 2), recipe);
  wgrad_dy(dV, 3 * probe(4, 16, 2), recipe);  // a gradient stands for its weight; the larger counts
  CHECK(amaxes == before);
  histories.end_step();
  CHECK(amaxes[0] == before[0]);
  CHECK(amaxes[1].of[0] == before[1].of[0]);  // no x
  CHECK(amaxes[1].of[1].amaxes().back() == static_cast<float>(max_abs(V)));
  CHECK(amaxes[1].of[2].amaxes().back() == static_cast<float>(max_abs(round_to_bf16(3 * probe(4, 16, 2)))));
  const std::vector<LinearAmaxes> after = amaxes;
  histories.end_step();
  CHECK(amaxes == after);
  CHECK_THROWS_WITH(fprop_in_fp8(Matrix(W), probe(4, 256, 2), recipe),
                    "AmaxHistories: a weight is not one of the 2 it knows");
  CHECK_THROWS_AS(AmaxHistories(amaxes, {weights[2], weights[0]}, gradients), std::invalid_argument);
}

TEST_CASE("fp8 linear: an operand brings its format's values and smallest exponent") {
  const Matrix x = probe(3, 128, 1);
  const Quantised wide = quantise(x.cast<float>(), {.format = FormatId::e5m2}), fine = quantise(x.cast<float>());
  CHECK(operand_of(wide).min_exponent == -14);
  CHECK(operand_of(wide).values[0x7B] == 57344);
  CHECK(operand_of(fine).min_exponent == -6);
  CHECK(operand_of(fine).values[0x7E] == 448);
}

TEST_CASE("fp8 linear: no tokens, all-zero tokens and NaN") {
  const Matrix W = probe(16, 130, 1);
  CHECK(fprop_in_fp8(W, Matrix(0, 130), {}).rows() == 0);
  CHECK(different(fprop_in_fp8(W, Matrix::Zero(3, 130), {}), Matrix::Zero(3, 16)) == "");
  Matrix dW = W;
  wgrad(dW, Matrix(0, 16), Matrix(0, 130), Fp8Recipe{});
  CHECK(different(dW, W) == "");
  Matrix x = probe(3, 130, 2);
  x(1, 7) = std::nanf("");
  const Matrix y = fprop_in_fp8(W, x, {});
  for (Index t = 0; t < 3; ++t) CHECK(y.row(t).array().isNaN().any() == (t == 1));
}
