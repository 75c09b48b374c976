// SPDX-License-Identifier: MIT
#include "cuda/norm/rms_norm.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>

#include "reference/norm/rms_norm.hpp"
#include "tests/cuda/formats/on_device.hpp"

using namespace dsv3;
using namespace dsv3::test;
using cuda::Buffer, cuda::Scale;

namespace {

constexpr float eps = 1e-6f;

float rounded(float x) { return float_from_bf16(bf16_from_float(x)); }

/// Bits, but that any NaN is like any other.
bool same(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}

/// What the contract says, number by number.
struct Twin {
  Twin(const Bf16Matrix& x, const Bf16Matrix* residual, const std::vector<float>& gain)
      : r(x.values()), y(x.rows, x.cols) {
    for (int i = 0; i < x.rows; ++i) {
      for (int j = 0; j < x.cols && residual != nullptr; ++j)
        r(i, j) = rounded(r(i, j) + float_from_bf16(residual->at(i, j)));
      const float mean = sum_of_squares(i) / static_cast<float>(x.cols);
      rstd.push_back(1 / std::sqrt(mean + eps));
      for (int j = 0; j < x.cols; ++j) y(i, j) = rounded(r(i, j) * rstd.back() * gain[static_cast<std::size_t>(j)]);
    }
  }

  FloatMatrix r, y;
  std::vector<float> rstd;

 private:
  float sum_of_squares(int i) const {
    std::array<float, 128> of{};
    for (int j = 0; j < r.cols(); ++j) {
      float& sum = of[static_cast<std::size_t>(j / 8 % 128)];
      sum = std::fma(r(i, j), r(i, j), sum);
    }
    for (std::size_t n = 128; n > 4; n /= 2)
      for (std::size_t t = 0; t < n / 2; ++t) of[t] = of[2 * t] + of[2 * t + 1];
    return of[0] + of[1] + of[2] + of[3];
  }
};

/// Empty if BF16 rows have these values; what lies beyond a row must be as it was.
std::string bf16_differs(const Bf16Matrix& like, const std::vector<std::uint16_t>& got, const FloatMatrix& expected) {
  for (int i = 0; i < like.rows; ++i)
    for (int j = 0; j < like.stride; ++j) {
      const std::uint16_t code = got[static_cast<std::size_t>(i * like.stride + j)];
      if (j < like.cols ? !same(float_from_bf16(code), expected(i, j)) : code != 0xFFFF)
        return "row " + std::to_string(i) + ", column " + std::to_string(j);
    }
  return {};
}

struct Case {
  Bf16Matrix x, residual;
  std::vector<float> gain;

  Case(int rows, int d, std::uint64_t seed)
      : x(random_bf16(rows, d, seed, 1)), residual(random_bf16(rows, d, seed + 50, 1)) {
    Random random(seed + 90);
    for (int j = 0; j < d; ++j) gain.push_back(static_cast<float>(1 + 0.3 * random.normal()));
  }
  int groups() const { return (x.cols + 127) / 128; }
};

/// Everything asked for, the sum in the residual's own memory.
std::string all_differs(const Case& c, Scale kind) {
  const Twin twin(c.x, &c.residual, c.gain);
  const Buffer<std::uint16_t> x(c.x.codes);
  Buffer<std::uint16_t> residual(c.residual.codes), y(c.x.codes.size());
  const Buffer<float> gain(c.gain);
  Buffer<float> rstd(twin.rstd.size() + 1);
  Fp8Result codes(c.x.rows, c.x.cols, c.groups(), c.x.rows);
  cuda::rms_norm_quantise({c.x.on(x),
                           c.residual.on(residual),
                           gain.data(),
                           eps,
                           {residual.data(), c.residual.stride},
                           {y.data(), c.x.stride},
                           codes.out(),
                           rstd.data()},
                          kind);
  const std::vector<float> got = rstd.to_host();
  for (std::size_t i = 0; i < got.size(); ++i)
    if (!same(got[i], i < twin.rstd.size() ? twin.rstd[i] : std::nanf(""))) return "rstd " + std::to_string(i);
  const Quantised expected = quantise(twin.y, {.scale = reference_of(kind)});
  return bf16_differs(c.residual, residual.to_host(), twin.r) + bf16_differs(c.x, y.to_host(), twin.y) +
         different(codes, expected.q, expected.s.transpose());
}

void check(const Case& c) {
  for (const Scale kind : {Scale::fp32, Scale::ue8m0_ceil}) CHECK(all_differs(c, kind) == "");
}

}  // namespace

TEST_CASE("rms_norm: sum, norm, codes and scales have the bits that the contract says, for every number of pieces") {
  for (const Sizes& shape : {Sizes{1, 8},
                             {3, 128},
                             {5, 136},
                             {2, 576},
                             {3, 1024},
                             {2, 1032},
                             {2, 2048},
                             {1, 3000},
                             {1, 4096},
                             {1, 5128},
                             {1, 6144},
                             {2, 7168},
                             {1, 8192}})
    for (const std::uint64_t seed : {1, 2}) {
      CAPTURE(shape.cols);
      check(Case(shape.rows, shape.cols, seed));
    }
}

TEST_CASE("rms_norm: the gain comes last, by gains for which another order gives another BF16 number") {
  Case c(1, 128, 3);
  const Twin twin(c.x, &c.residual, c.gain);
  Random random(4);
  for (int j = 0; j < 16; ++j) {
    const float r = twin.r(0, j), rstd = twin.rstd[0];
    float& g = c.gain[static_cast<std::size_t>(j)];
    while (rounded(r * rstd * g) == rounded(r * (rstd * g))) g = static_cast<float>(random.normal());
  }
  check(c);
}

TEST_CASE("rms_norm: rstd is within both sums' roundings of the reference's and of the exact one") {
  for (const int d : {128, 1536, 7168}) {
    const Case c(3, d, 4);
    const Twin twin(c.x, &c.residual, c.gain);
    RmsNormWeights<Matrix> weights{Matrix::Ones(1, d)};
    const Matrix reference = RmsNorm{.eps = eps}.recompute(weights, {}, twin.r, {}).rstd;
    const double u = 0x1p-24, ours = (d / 256.0 + 12) * u, theirs = (d / 2.0 + 3) * u;
    for (Index i = 0; i < 3; ++i) {
      const double squares = twin.r.row(i).cast<double>().squaredNorm();
      const double exact = 1 / std::sqrt(squares / d + static_cast<double>(eps));
      const double got = twin.rstd[static_cast<std::size_t>(i)];
      CHECK(std::abs(got - exact) <= 1.001 * ours * exact);
      CHECK(std::abs(got - reference(i, 0)) <= 1.001 * (ours + theirs) * exact);
    }
  }
}

TEST_CASE("rms_norm: rows of zeros, of subnormals, of numbers whose squares overflow, with NaN and infinities") {
  Case c(9, 392, 5);
  for (int j = 0; j < 392; ++j) {
    c.x.at(0, j) = c.residual.at(0, j) = 0;
    c.x.at(1, j) = static_cast<std::uint16_t>(1 + j % 3), c.residual.at(1, j) = 0x8000;
    c.x.at(2, j) = 0x7E00;                                                    // 2^125: the square is infinite, rstd 0
    c.residual.at(3, j) = static_cast<std::uint16_t>(c.x.at(3, j) ^ 0x8000);  // the sum is 0
  }
  c.x.at(4, 391) = 0x7F80, c.residual.at(4, 391) = 0xFF80;
  c.x.at(5, 0) = 0x7FC0, c.residual.at(6, 200) = 0xFF80;
  c.gain[100] = 0, c.gain[390] = -1;
  check(c);
}

TEST_CASE("rms_norm: without a residual and with nothing but codes asked for; no rows; the same bits again") {
  const Case c(3, 264, 6);
  const Twin twin(c.x, nullptr, c.gain);
  const Quantised expected = quantise(twin.y);
  const Buffer<std::uint16_t> x(c.x.codes);
  const Buffer<float> gain(c.gain);
  for (int run = 0; run < 3; ++run) {
    Fp8Result codes(3, 264, 3, 3);
    cuda::rms_norm_quantise({c.x.on(x), {}, gain.data(), eps, {}, {}, codes.out(), nullptr}, Scale::fp32);
    CHECK(different(codes, expected.q, expected.s.transpose()) == "");
  }
  CHECK(x.to_host() == c.x.codes);
  check(Case(0, 128, 7));
}

TEST_CASE("rms_norm: bad arguments are refused") {
  const Case c(2, 64, 8);
  const Buffer<std::uint16_t> x(c.x.codes);
  const Buffer<float> gain(c.gain);
  Fp8Result codes(2, 64, 1, 2);
  const cuda::RmsNormQuantise good{c.x.on(x), {}, gain.data(), eps, {}, {}, codes.out(), nullptr};
  const auto refuses = [&](auto&& spoil) {
    cuda::RmsNormQuantise what = good;
    spoil(what);
    CHECK_THROWS_AS(cuda::rms_norm_quantise(what, Scale::fp32), std::invalid_argument);
  };
  refuses([](auto& w) { w.x.cols = 60; });
  refuses([](auto& w) { w.x.cols = 0; });
  refuses([](auto& w) { w.x.cols = 8200, w.x.stride = w.codes.stride = 8208; });
  refuses([](auto& w) { ++w.gain; });
  refuses([](auto& w) { w.residual = w.x, w.residual.rows = 1; });
  refuses([](auto& w) { w.codes.scales_stride = 1; });
  refuses([&](auto& w) { w.y = {const_cast<std::uint16_t*>(x.data()) + 1, 72}; });
}
