// SPDX-License-Identifier: MIT
#include "cuda/linear/gemm.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

#include <cmath>
#include <functional>
#include <limits>

#include "reference/core/random.hpp"
#include "reference/formats/bf16.hpp"

using namespace dsv3;
using cuda::Bf16Gemm;
using cuda::Buffer;

namespace {

constexpr std::uint16_t nan = 0x7FFF, unwritten = 0xFFFF;

/// A matrix with NaN behind each row, here and on the device.
struct Bf16Matrix {
  int rows, cols, stride;
  std::vector<std::uint16_t> host;
  Buffer<std::uint16_t> buffer;

  Bf16Matrix(int rows_, int cols_, const std::function<float()>& draw)
      : rows(rows_), cols(cols_), stride((cols_ + 7) / 8 * 8 + 16), host(filled(draw)), buffer(host) {}
  std::vector<std::uint16_t> filled(const std::function<float()>& draw) const {
    std::vector<std::uint16_t> all(static_cast<std::size_t>(rows * stride), nan);
    for (int i = 0; i < rows; ++i)
      for (int k = 0; k < cols; ++k) all[static_cast<std::size_t>(i * stride + k)] = bf16_from_float(draw());
    return all;
  }
  double at(int i, int k) const { return float_from_bf16(host[static_cast<std::size_t>(i * stride + k)]); }
  void set(int i, int k, float value) {
    host[static_cast<std::size_t>(i * stride + k)] = bf16_from_float(value);
    buffer = Buffer<std::uint16_t>(host);
  }
  cuda::Bf16Rows view() const { return {buffer.data(), rows, cols, stride}; }
};

struct Out {
  int stride;
  Buffer<std::uint16_t> buffer;
  explicit Out(const Bf16Matrix& a, const Bf16Matrix& b)
      : stride(b.rows + 4), buffer(static_cast<std::size_t>((a.rows + 1) * stride)) {}
};

std::vector<std::uint16_t> product(const Bf16Matrix& a, const Bf16Matrix& b) {
  Out out(a, b);
  cuda::gemm({a.view(), b.view(), out.buffer.data(), out.stride});
  cuda::synchronise();
  return out.buffer.to_host();
}

/// How many elements are not as `is_right` says, or were written beside out.
template <class IsRight>
int num_wrong(const std::vector<std::uint16_t>& out, const Bf16Matrix& a, const Bf16Matrix& b,
              const IsRight& is_right) {
  int wrong = 0;
  const int stride = b.rows + 4;
  for (int i = 0; i <= a.rows; ++i)
    for (int j = 0; j < stride; ++j) {
      const std::uint16_t found = out[static_cast<std::size_t>(i * stride + j)];
      wrong += i < a.rows && j < b.rows ? !is_right(i, j, found) : found != unwritten;
    }
  return wrong;
}

/// The contract's bound, and half an ulp of BF16 around the largest sum that it allows.
bool is_inside_bound(const Bf16Matrix& a, const Bf16Matrix& b, int i, int j, std::uint16_t found) {
  double exact = 0, magnitude = 0;
  for (int k = 0; k < a.cols; ++k) exact += a.at(i, k) * b.at(j, k), magnitude += std::abs(a.at(i, k) * b.at(j, k));
  const double sum_error = (a.cols + 15) / 16 * 19 * 0x1p-24 * magnitude * (1 + 0x1p-10);  // S of a sum that errs
  const double largest = std::abs(exact) + sum_error;
  const double half_ulp = largest == 0 ? 0 : std::ldexp(1.0, std::ilogb(largest) - 8);
  return std::abs(float_from_bf16(found) - exact) <= sum_error + half_ulp;
}

struct Sizes {
  int M, N, K;
};

std::vector<Sizes> sizes() {
  // Both widths of tiles; laps around the ring of stages; nothing a multiple of 128, 64 or 8.
  std::vector<Sizes> all{{1, 2, 1}, {17, 130, 70}, {130, 514, 330}, {70, 66, 1000}, {257, 300, 129}, {128, 256, 64}};
  if (!cuda::device().is_played && std::getenv("DSV3_SMALL") == nullptr)
    all.insert(all.end(), {{4001, 2112, 1030}, {128, 7168, 7168}});
  return all;
}

}  // namespace

TEST_CASE("gemm: random numbers, inside the contract's bound element by element; twice the same bits") {
  for (std::uint64_t seed = 1; const auto& [M, N, K] : sizes()) {
    Random random(++seed);
    const auto draw = [&] { return static_cast<float>(random.normal()); };
    const Bf16Matrix a(M, K, draw), b(N, K, draw);
    const auto out = product(a, b);
    CAPTURE(M);
    CAPTURE(N);
    CAPTURE(K);
    CHECK(num_wrong(out, a, b, [&](int i, int j, std::uint16_t found) { return is_inside_bound(a, b, i, j, found); }) ==
          0);
    CHECK(product(a, b) == out);
  }
}

TEST_CASE("gemm: sums of small integers are exact, every product in its place") {
  for (std::uint64_t seed = 20; const auto& [M, N, K] : {Sizes{130, 514, 530}, Sizes{33, 140, 450}}) {
    Random random(++seed);
    // One value in eight is not 0: sums stay below 2^8, where BF16 has every integer, and any product that is missing,
    // twice there or somebody else's is seen.
    const auto draw = [&] { return random.below(8) == 0 ? static_cast<float>(random.below(3)) - 1 : 0.0f; };
    const Bf16Matrix a(M, K, draw), b(N, K, draw);
    const int wrong = num_wrong(product(a, b), a, b, [&](int i, int j, std::uint16_t found) {
      double exact = 0;
      for (int k = 0; k < K; ++k) exact += a.at(i, k) * b.at(j, k);
      return float_from_bf16(found) == exact;
    });
    CHECK(wrong == 0);
  }
}

TEST_CASE("gemm: wide exponents and cancellation stay inside the bound") {
  Random random(40);
  const auto wide = [&] {
    return static_cast<float>(std::ldexp(random.normal(), static_cast<int>(random.below(41)) - 20));
  };
  Bf16Matrix a(65, 256, wide), b(130, 256, wide);
  for (int i = 0; i < a.rows; ++i)  // the second half takes away the first, but for its last value
    for (int k = 0; k < 127; ++k)
      a.host[static_cast<std::size_t>(i * a.stride + 128 + k)] =
          a.host[static_cast<std::size_t>(i * a.stride + k)] ^ 0x8000;
  for (int j = 0; j < b.rows; ++j)
    for (int k = 0; k < 127; ++k)
      b.host[static_cast<std::size_t>(j * b.stride + 128 + k)] = b.host[static_cast<std::size_t>(j * b.stride + k)];
  a.buffer = Buffer<std::uint16_t>(a.host), b.buffer = Buffer<std::uint16_t>(b.host);
  CHECK(num_wrong(product(a, b), a, b,
                  [&](int i, int j, std::uint16_t found) { return is_inside_bound(a, b, i, j, found); }) == 0);
}

TEST_CASE("gemm: NaN and infinities reach their own row or column alone") {
  const auto one = [] { return 1.0f; };
  Bf16Matrix a(70, 90, one), b(140, 90, one);
  constexpr float infinity = std::numeric_limits<float>::infinity();
  a.set(3, 89, infinity);
  a.set(69, 0, std::numeric_limits<float>::quiet_NaN());
  b.set(139, 64, -infinity);
  const int wrong = num_wrong(product(a, b), a, b, [&](int i, int j, std::uint16_t found) {
    const float x = float_from_bf16(found);
    if (i == 69 || (i == 3 && j == 139)) return std::isnan(x) && found != unwritten;
    return x == (i == 3 ? infinity : j == 139 ? -infinity : 90.0f);
  });
  CHECK(wrong == 0);
}

TEST_CASE("gemm: nothing to sum over gives zeros; no rows or columns, nothing at all") {
  const auto one = [] { return 1.0f; };
  const Bf16Matrix a(5, 0, one), b(6, 0, one), no_rows(0, 8, one), rows(4, 8, one);
  CHECK(num_wrong(product(a, b), a, b, [](int, int, std::uint16_t found) { return found == 0; }) == 0);
  CHECK(num_wrong(product(no_rows, rows), no_rows, rows, [](int, int, std::uint16_t) { return false; }) == 0);
  CHECK(num_wrong(product(rows, no_rows), rows, no_rows, [](int, int, std::uint16_t) { return false; }) == 0);
}

TEST_CASE("gemm: what the contract forbids throws and writes nothing") {
  const auto one = [] { return 1.0f; };
  const Bf16Matrix a(4, 32, one), b(4, 32, one);
  Out out(a, b);
  const auto throws_with = [&](auto change) {
    Bf16Gemm product{a.view(), b.view(), out.buffer.data(), out.stride};
    change(product);
    CHECK_THROWS_AS(cuda::gemm(product), std::invalid_argument);
  };
  throws_with([](Bf16Gemm& g) { g.a.rows = -1; });
  throws_with([](Bf16Gemm& g) { g.a.cols = g.b.cols = -1; });
  throws_with([](Bf16Gemm& g) { g.a.cols = 31; });
  throws_with([](Bf16Gemm& g) { g.a.stride = 28; });
  throws_with([](Bf16Gemm& g) { g.b.stride = 44; });
  throws_with([](Bf16Gemm& g) { g.b.data += 4; });
  throws_with([](Bf16Gemm& g) { g.b.rows = 3; });
  throws_with([](Bf16Gemm& g) { g.out_stride = 7; });
  throws_with([](Bf16Gemm& g) { g.out_stride = 2; });
  throws_with([](Bf16Gemm& g) { g.out += 1; });
  for (const std::uint16_t value : out.buffer.to_host()) CHECK(value == unwritten);
}
