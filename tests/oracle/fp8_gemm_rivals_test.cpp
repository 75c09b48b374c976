// SPDX-License-Identifier: MIT
// Kernels that somebody might write for fp8_fprop, sound and unsound, and what the oracle says of them.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include "reference/core/require.hpp"
#include "reference/linear/fp8_gemm.hpp"
#include "reference/oracle/registry.hpp"
#include "reference/oracle/verdict.hpp"

using namespace dsv3;
using namespace dsv3::oracle;

namespace {

/// A plain kernel with a screw for each mistake.
struct Kernel {
  const char* name;
  std::function<float(std::uint8_t)> value = [](std::uint8_t code) { return decode(FormatId::e4m3, code); };
  std::function<float(float)> keep = [](float sum) { return sum; };      ///< of a sum inside a block
  std::function<float(float)> promoted = [](float sum) { return sum; };  ///< of the sum over blocks
  std::function<float(float)> result = [](float y) { return y; };
  std::function<Index(Index)> x_block = [](Index k) { return k / 128; }, W_block = x_block;  ///< whose scale
  bool whole_blocks_only = false, reversed = false, divides = false, W_scale_transposed = false,
       ignores_x_scale = false;
  Dtype dtype = Dtype::f32;

  Tensors run(const Case& c) const {
    const Codes x = codes(c.in("x_q")), W = codes(c.in("W_q"));
    const FloatMatrix x_s = float_matrix(c.in("x_s")), W_s = float_matrix(c.in("W_s"));
    FloatMatrix y(x.rows(), W.rows());
    for (Index i = 0; i < y.rows(); ++i)
      for (Index j = 0; j < y.cols(); ++j) y(i, j) = element(x, W, x_s, W_s, i, j);
    return {{"y", rounded(dtype, y, {y.rows(), y.cols()})}};
  }

  float element(const Codes& x, const Codes& W, const FloatMatrix& x_s, const FloatMatrix& W_s, Index i,
                Index j) const {
    const Index K = x.cols(), blocks = whole_blocks_only ? K / 128 : (K + 127) / 128;
    float acc = 0;
    for (Index b = 0; b < blocks; ++b) {
      const Index block = reversed ? blocks - 1 - b : b, begin = block * 128, end = std::min(K, begin + 128);
      float sum = 0;
      for (Index k = begin; k < end; ++k) sum = keep(sum + value(x(i, k)) * value(W(j, k)));
      const Index last = x_s.cols() - 1, b_x = std::min(x_block(begin), last), b_W = std::min(W_block(begin), last);
      const float s_x = ignores_x_scale ? 1 : x_s(i, b_x);
      const float s_W =
          W_scale_transposed ? W_s(std::min(b_W, W_s.rows() - 1), std::min(j / 128, last)) : W_s(j / 128, b_W);
      acc = promoted(acc + (divides ? sum / (s_x * s_W) : sum * (s_x * s_W)));
    }
    return result(acc);
  }
};

float to_bf16(float x) { return decode(FormatId::bf16, encode(FormatId::bf16, x)); }
float to_fp16(float x) { return decode(FormatId::fp16, encode(FormatId::fp16, x)); }
float cut_to_bf16(float x) { return decode(FormatId::bf16, encode(FormatId::bf16, x, Rounding::toward_zero)); }

std::vector<Kernel> sound() {
  return {{.name = "FP32 throughout"},
          {.name = "blocks from the last to the first", .reversed = true},
          {.name = "BF16 output", .dtype = Dtype::bf16},
          {.name = "BF16 output, other order", .reversed = true, .dtype = Dtype::bf16}};
}

std::vector<Kernel> unsound() {
  return {{.name = "BF16 sums inside a block", .keep = to_bf16},
          {.name = "FP16 sums inside a block", .keep = to_fp16},
          {.name = "BF16 sums over the blocks", .promoted = to_bf16},
          {.name = "BF16 output cut off, not rounded", .result = cut_to_bf16, .dtype = Dtype::bf16},
          {.name = "the ragged last block left out", .whole_blocks_only = true},
          {.name = "scales of x one block late", .x_block = [](Index k) { return (k + 128) / 128; }},
          {.name = "the first scale of x for all of K", .x_block = [](Index) { return Index{0}; }},
          {.name = "scales of W in steps of 64", .W_block = [](Index k) { return k / 64; }},
          {.name = "scales of W transposed", .W_scale_transposed = true},
          {.name = "divided by the scales", .divides = true},
          {.name = "x without its scales", .ignores_x_scale = true},
          {.name = "E4M3 read as FNUZ, half the value",
           .value = [](std::uint8_t code) { return decode(FormatId::e4m3, code) / 2; }},
          {.name = "subnormal codes flushed to zero",
           .value = [](std::uint8_t code) { return code & 0x78 ? decode(FormatId::e4m3, code) : 0.0f; }},
          {.name = "448 read as 416", .value = [](std::uint8_t code) {
             const float x = decode(FormatId::e4m3, code);
             return std::abs(x) == 448 ? x * 416 / 448 : x;
           }}};
}

/// Kinds of fp8_fprop in which the verdict on this kernel is `outside`.
std::string caught_in(const Kernel& kernel) {
  const Op& op = op_named("fp8_fprop");
  std::string kinds;
  for (const CaseKind& kind : op.kinds) {
    const Case c = drawn(op, kind.name, 11, {{"T", 17}, {"N", 140}, {"K", 700}}, {});
    if (judge(op, c, kernel.run(c)).agreement == Agreement::outside) kinds += kind.name + " ";
  }
  return kinds;
}

/// DeepGEMM's measure: 1 - 2 <x, y> / (<x, x> + <y, y>).
double calc_diff(const FloatMatrix& a, const FloatMatrix& b) {
  const Eigen::MatrixXd x = a.cast<double>(), y = b.cast<double>();
  return 1 - 2 * x.cwiseProduct(y).sum() / (x.squaredNorm() + y.squaredNorm());
}

FloatMatrix ones_like(const Tensor& t) {
  const Shape shape = rows_and_cols(t.shape);
  return FloatMatrix::Ones(shape.rows, shape.cols);
}

}  // namespace

TEST_CASE("fp8_fprop: sound kernels are accepted on every kind of data") {
  for (const Kernel& kernel : sound()) {
    CAPTURE(kernel.name);
    CHECK(caught_in(kernel) == "");
  }
}

TEST_CASE("fp8_fprop: every unsound kernel is caught on some kind of data") {
  for (const Kernel& kernel : unsound()) {
    CAPTURE(kernel.name);
    CHECK(caught_in(kernel) != "");
  }
}

TEST_CASE("fp8_fprop: promotion removed is caught on N(0, 1), where calc_diff < 1e-3 sees nothing") {
  const Op& op = op_named("fp8_fprop");
  Tensors inputs = drawn(op, "ordinary", 1, {{"T", 64}, {"N", 128}, {"K", 4096}}, {}).inputs;
  for (const char* const name : {"x_s", "W_s"}) inputs[name] = tensor(ones_like(inputs.at(name)));
  const Case c = checked(op, inputs, {});
  const Codes x = codes(c.in("x_q")), W = codes(c.in("W_q"));
  const Scales one_per_row = Scales::Ones(64, 1), one = Scales::Ones(1, 1);
  const auto product = [&](const Accumulation& how) {
    FloatMatrix y(64, 128);
    const float* const values = values_of(FormatId::e4m3).data();
    fp8_fprop(y, {x, one_per_row, per_row(4096), values}, {W, one, per_tensor(128, 4096), values}, {how});
    return y;
  };
  const FloatMatrix never = product(hopper_fp8_wgmma.promoted_every(0)), exact = product(exact_sums);
  CHECK(calc_diff(never, exact) < 1e-3);
  CHECK(judge(op, c, {{"y", tensor(never)}}).agreement == Agreement::outside);
  CHECK(judge(op, c, {{"y", rounded(Dtype::bf16, never, {64, 128})}}).agreement == Agreement::outside);
  CHECK(judge(op, c, {{"y", rounded(Dtype::bf16, exact, {64, 128})}}).agreement == Agreement::within);
  CHECK(judge(op, c, {{"y", tensor(product(hopper_fp8_wgmma.promoted_every(64)))}}).agreement == Agreement::within);
  CHECK(judge(op, c, {{"y", tensor(product(fp32_sums))}}).agreement == Agreement::within);
}

TEST_CASE("fp8_wgrad: sums in another order are accepted, also where dW is far larger than what is added to it") {
  const Op& op = op_named("fp8_wgrad");
  Tensors inputs = drawn(op, "ordinary", 1, {{"T", 512}}, {}).inputs;
  const FloatMatrix dW = float_matrix(inputs.at("dW"));
  for (const float size : {0.0f, 1.0f, 1e6f}) {
    inputs["dW"] = tensor(FloatMatrix(size * dW));
    const Case ours = checked(op, inputs, {{"accumulation", std::string("fp32")}});
    const Case theirs = checked(op, inputs, {{"accumulation", std::string("exact")}, {"promotion", Index{32}}});
    CAPTURE(size);
    CHECK(judge(op, ours, run(op, theirs)).agreement != Agreement::outside);
  }
}

TEST_CASE("fp8_fprop: damage in one place of a large product is outside, which the mean over all of it forgives") {
  const Op& fprop = op_named("fp8_fprop");
  const Case c = drawn(fprop, "ordinary", 5, {{"T", 256}, {"N", 512}, {"K", 512}}, {});
  const Tensors ours = run(fprop, c);
  const auto with = [&](const std::function<void(FloatMatrix&)>& damage) {
    FloatMatrix y = float_matrix(ours.at("y"));
    damage(y);
    return judge(fprop, c, {{"y", tensor(y)}}).tensors[0];
  };
  const auto element = [](FloatMatrix& y) { y(100, 200) += 1.5f; };
  CHECK(with(element).rms <= 1);
  CHECK(with(element).outside == 1);
  CHECK(with([](FloatMatrix& y) { y(17, 3) = -y(17, 3); }).agreement == Agreement::outside);
}
