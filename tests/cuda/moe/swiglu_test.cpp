// SPDX-License-Identifier: MIT
#include "cuda/moe/swiglu.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "cuda/moe/sigmoid.cuh"
#include "reference/moe/sigmoid.hpp"
#include "reference/moe/swiglu.hpp"
#include "tests/cuda/formats/on_device.hpp"

using namespace dsv3;
using namespace dsv3::test;
using cuda::Buffer, cuda::Scale;

namespace {

/// Whether Eigen's packets fuse products and sums here, as the kernels do.
#ifdef __FMA__
constexpr bool reference_fuses = true;
#else
constexpr bool reference_fuses = false;
#endif

float rounded(float x) { return float_from_bf16(bf16_from_float(x)); }

FloatMatrix in_bf16(FloatMatrix m) {
  for (Index i = 0; i < m.size(); ++i) m.data()[i] = rounded(m.data()[i]);
  return m;
}

struct Case {
  Bf16Matrix x, dz;
  std::vector<float> weight;  // none: not weighted

  Case(int rows, int f, std::uint64_t seed, bool is_weighted = true)
      : x(random_bf16(rows, 2 * f, seed, 1)), dz(random_bf16(rows, f, seed + 100, 2)) {
    Random random(seed + 200);
    for (int i = 0; i < rows && is_weighted; ++i) weight.push_back(static_cast<float>(random.uniform()));
  }

  int f() const { return dz.cols; }
  float a(int i, int j) const { return float_from_bf16(x.at(i, j)); }
  float b(int i, int j) const { return float_from_bf16(x.at(i, f() + j)); }
  float of_z(int i, int j) const { return float_from_bf16(dz.at(i, j)); }
  float times_weight(int i, float value) const {
    return weight.empty() ? value : value * weight[static_cast<std::size_t>(i)];
  }
  const float* on(const Buffer<float>& buffer) const { return weight.empty() ? nullptr : buffer.data(); }
};

/// z and its gradients, element by element as the contract says.
struct Twin {
  explicit Twin(const Case& c) : z(c.x.rows, c.f()), dx(c.x.rows, 2 * c.f()) {
    for (int i = 0; i < c.x.rows; ++i) {
      std::array<float, 32> of_lane{};
      for (int j = 0; j < c.f(); ++j) {
        const float a = c.a(i, j), b = c.b(i, j), sigma = cuda::sigmoid(a), silu = a * sigma;
        const float d = c.times_weight(i, c.of_z(i, j)), from_outside = d * b * sigma;
        z(i, j) = c.times_weight(i, silu * b);
        dx(i, j) = from_outside * (1 + a * (1 - sigma));
        dx(i, c.f() + j) = d * a * sigma;
        float& sum = of_lane[static_cast<std::size_t>(j / 8 % 32)];
        sum = std::fma(c.of_z(i, j), silu * b, sum);
      }
      for (std::size_t n = 32; n > 1; n /= 2)
        for (std::size_t l = 0; l < n / 2; ++l) of_lane[l] = of_lane[2 * l] + of_lane[2 * l + 1];
      d_weight.push_back(of_lane[0]);
    }
  }
  FloatMatrix z, dx;
  std::vector<float> d_weight;
};

std::string forward_differs(const Case& c, const FloatMatrix& z, Scale kind) {
  const Buffer<std::uint16_t> x(c.x.codes);
  const Buffer<float> weight(c.weight);
  Fp8Result got(c.x.rows, c.f(), c.f() / 128, c.x.rows);
  cuda::swiglu_quantise(c.x.on(x), c.on(weight), got.out(), kind);
  const Quantised expected = quantise(in_bf16(z), {.scale = reference_of(kind)});
  return different(got, expected.q, expected.s.transpose());
}

std::string backward_differs(const Case& c, const Twin& twin, Scale kind) {
  const Buffer<std::uint16_t> x(c.x.codes), dz(c.dz.codes);
  const Buffer<float> weight(c.weight);
  Buffer<float> d_weight(twin.d_weight.size() + 3);
  Fp8Result got(c.x.rows, c.x.cols, c.x.cols / 128, c.x.rows);
  cuda::swiglu_backward_quantise(c.x.on(x), c.on(weight), c.dz.on(dz), got.out(), d_weight.data(), kind);
  const std::vector<float> sums = d_weight.to_host();
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const bool is_beyond = i >= twin.d_weight.size();
    if (is_beyond ? !std::isnan(sums[i]) : std::isnan(sums[i]) != std::isnan(twin.d_weight[i])) return "d_weight: NaN";
    if (!is_beyond && !std::isnan(sums[i]) && sums[i] != twin.d_weight[i]) return "d_weight " + std::to_string(i);
  }
  const Quantised expected = quantise(in_bf16(twin.dx), {.scale = reference_of(kind)});
  return different(got, expected.q, expected.s.transpose());
}

void check(const Case& c) {
  const Twin twin(c);
  for (const Scale kind : {Scale::fp32, Scale::ue8m0_ceil}) {
    CHECK(forward_differs(c, twin.z, kind) == "");
    CHECK(backward_differs(c, twin, kind) == "");
  }
}

}  // namespace

TEST_CASE("sigmoid: the reference's bits for every BF16 number, and for FP32 ones, where its packets fuse") {
  Random random(1);
  Matrix x(1, 0x7F80 * 2 + 20'000);
  for (Index i = 0; i < 0x7F80 * 2; ++i)
    x(0, i) = float_from_bf16(static_cast<std::uint16_t>(i < 0x7F80 ? i : i - 0x7F80 + 0x8000));
  for (Index i = 0x7F80 * 2; i < x.cols(); ++i) x(0, i) = static_cast<real>(200 * random.uniform() - 100);
  Matrix expected(1, x.cols());
  sigmoid(x.data(), expected.data(), x.cols());
  int other = 0, far = 0;
  for (Index i = 0; i < x.cols(); ++i) {
    const float got = cuda::sigmoid(x(0, i));
    other += got != expected(0, i);
    far += !(std::abs(got - expected(0, i)) <= 8 * 0x1p-24f * expected(0, i));  // 4 epsilon of each
    const double exact = 1 / (1 + std::exp(-static_cast<double>(x(0, i))));
    if (x(0, i) > -87) far += !(std::abs(got - exact) <= 4 * 0x1p-24 * exact);
  }
  if (reference_fuses) CHECK(other == 0);
  CHECK(far == 0);
}

TEST_CASE("swiglu: codes, scales and dg have the bits of the reference's formulas, quantised by the reference") {
  for (const Sizes& shape : {Sizes{1, 128}, {3, 256}, {17, 384}, {9, 640}, {5, 1152}})
    for (const bool is_weighted : {true, false}) {
      CAPTURE(shape.rows);
      CAPTURE(shape.cols);
      check(Case(shape.rows, shape.cols, static_cast<std::uint64_t>(shape.rows), is_weighted));
    }
}

TEST_CASE("swiglu: da and db are those of the reference's swiglu_backward, where its packets fuse") {
  const Case c(6, 256, 3);
  Matrix a(6, 256), b(6, 256), dz(6, 256);
  for (int i = 0; i < 6; ++i)
    for (int j = 0; j < 256; ++j) a(i, j) = c.a(i, j), b(i, j) = c.b(i, j), dz(i, j) = c.times_weight(i, c.of_z(i, j));
  const SwigluGradient gradient = swiglu_backward({Kept(a), Kept(b)}, dz);
  Twin twin(c);
  twin.dx << gradient.da, gradient.db;
  if (reference_fuses) CHECK(backward_differs(c, twin, Scale::fp32) == "");
}

TEST_CASE("swiglu: the order of the products, by inputs for which another gives another BF16 number") {
  Case c(12, 128, 8);
  for (auto* m : {&c.x, &c.dz})
    for (auto& code : m->codes) code = 0;  // all but one of a group: the scale is that one's
  Random random(9);
  const auto draw = [&](double scale) { return rounded(static_cast<float>(scale * random.normal())); };
  for (int i = 0; i < 12; ++i)
    for (bool shows = false; !shows;) {
      const float a = draw(2), b = draw(1), of_z = draw(1), g = c.weight[static_cast<std::size_t>(i)];
      const float sigma = cuda::sigmoid(a), slope = 1 + a * (1 - sigma), d = of_z * g;
      if (i % 3 == 0) shows = rounded(d * b * sigma * slope) != rounded(d * b * (sigma * slope));
      if (i % 3 == 1) shows = rounded(d * a * sigma) != rounded(d * (a * sigma));
      if (i % 3 == 2) shows = rounded(a * sigma * b * g) != rounded(a * sigma * (b * g));
      c.x.at(i, 77) = bf16_from_float(a), c.x.at(i, 128 + 77) = bf16_from_float(b);
      c.dz.at(i, 77) = bf16_from_float(of_z);
    }
  check(c);
}

TEST_CASE("swiglu: gates far out, zeros, subnormals, NaN and infinities, in either half") {
  Case c(24, 256, 4);
  const float gates[] = {-88.5f, -89, -1e4f, -3e38f, 88.5f, 1e4f, -17.5f, 0.0f, -0.0f, 0x1p-130f};
  for (int j = 0; j < 256; ++j) c.x.at(0, j) = bf16_from_float(gates[j % 10]);
  for (int j = 0; j < 256; ++j) c.dz.at(1, j) = 0, c.x.at(2, 256 + j) = 0;
  int row = 3;
  for (const int code : {0x7F80, 0xFF80, 0x7FC0, 0xFFC0})
    for (const int col : {5, 200, 256 + 100, 511}) c.x.at(row++, col) = static_cast<std::uint16_t>(code);
  c.dz.at(20, 255) = 0x7F80;
  c.weight[21] = 0, c.weight[22] = -0.5f, c.weight[23] = std::nanf("");
  check(c);
}

TEST_CASE("swiglu: the same bits again; no rows; without dg") {
  const Case c(5, 256, 5);
  const Twin twin(c);
  for (int run = 0; run < 3; ++run) CHECK(backward_differs(c, twin, Scale::fp32) == "");
  check(Case(0, 128, 6));
  const Buffer<std::uint16_t> x(c.x.codes), dz(c.dz.codes);
  Fp8Result got(5, 512, 4, 5);
  cuda::swiglu_backward_quantise(c.x.on(x), nullptr, c.dz.on(dz), got.out(), nullptr, Scale::fp32);
  CHECK(got.codes.to_host()[0] != 0xFF);
}

TEST_CASE("swiglu: bad arguments are refused") {
  const Case c(4, 128, 7), narrow(4, 64, 7);
  const Buffer<std::uint16_t> x(c.x.codes), dz(c.dz.codes);
  Fp8Result got(4, 256, 2, 4), small(4, 64, 1, 4);
  CHECK_THROWS_AS(cuda::swiglu_quantise(narrow.x.on(x), nullptr, small.out(), Scale::fp32), std::invalid_argument);
  CHECK_THROWS_AS(cuda::swiglu_backward_quantise(c.x.on(x), nullptr, narrow.dz.on(dz), got.out(), nullptr, Scale::fp32),
                  std::invalid_argument);
  CHECK_THROWS_AS(cuda::swiglu_backward_quantise(c.x.on(x), nullptr, c.dz.on(dz), small.out(), nullptr, Scale::fp32),
                  std::invalid_argument);
}
