// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <array>

#include "tests/cuda/linear/results.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// Both operands of dW = a b^T have rows along the tokens.
cuda::Fp8Wgrad wgrad_of(const Operand& a, const Operand& b, const OnDevice& on_a, const OnDevice& on_b, float* out) {
  return {static_cast<int>(a.q.rows()),
          static_cast<int>(b.q.rows()),
          static_cast<int>(a.q.cols()),
          on_a.rows(),
          on_a.tiles(),
          on_b.rows(),
          on_b.tiles(),
          out,
          b.q.rows()};
}

/// Tokens first .. first + count - 1, both multiples of 128.
Operand tokens_from(const Operand& x, Index first, Index count) {
  return {x.q.middleCols(first, count), x.s.middleCols(first / 128, (count + 127) / 128), x.groups};
}

Scales before(Index rows, Index cols) { return random_scales(rows, cols, 9); }

/// dW + a b^T, in FP32.
std::string outside_sum(const float* found, const Scales& dW, const Operand& a, const Operand& b) {
  const Scales y = product_on_hopper(a, b);
  const Eigen::MatrixXd exact = dW.cast<double>() + exact_values(a) * exact_values(b).transpose();
  return first_outside(
      y.rows(), y.cols(), [&](Index i, Index j) { return found[i * y.cols() + j]; },
      [&](Index i, Index j) { return dW(i, j) + y(i, j); },
      [&] {
        const Fp8Operand x = a.view(), z = b.view();
        return fp8_error_bound(whole(x, false), whole(z, false), on_hopper);
      },
      exact, 0x1p-24);
}

}  // namespace

TEST_CASE("fp8_wgrad: dY^T X, both in tiles along the tokens, added in FP32") {
  for (const auto& [M, N, K] : {std::array<Index, 3>{64, 64, 128}, {130, 141, 300}, {17, 129, 1000}}) {
    const Operand a = random_operand(M, K, tile_1x128, 1), b = random_operand(N, K, tile_1x128, 3);
    const OnDevice on_a(a), on_b(b);
    const Scales dW = before(M, N);
    cuda::Buffer<float> out(rows_of<float>(dW, N));
    cuda::fp8_wgrad(wgrad_of(a, b, on_a, on_b, out.data()));
    CHECK(outside_sum(out.to_host().data(), dW, a, b) == "");
  }
}

TEST_CASE("fp8_wgrad: the reference's Wgrad of the operands as they were before they were transposed") {
  const Operand a = random_operand(70, 200, tile_1x128, 1), b = random_operand(40, 200, tile_1x128, 3);
  const Operand dy{a.q.transpose(), a.s.transpose(), tile_128x1}, x{b.q.transpose(), b.s.transpose(), tile_128x1};
  Scales dW = before(70, 40), again = dW;
  fp8_wgrad(dW, dy.view(), x.view(), on_hopper);
  again += product_on_hopper(a, b);
  CHECK(dW == again);
}

TEST_CASE("fp8_wgrad_grouped: each expert's tokens alone; one without tokens keeps its dW") {
  const std::vector<int> begin{0, 256, 256, 384, 768};
  const Index M = 100, N = 150, num_experts = std::ssize(begin) - 1;
  const Operand a = random_operand(M, begin.back(), tile_1x128, 1), b = random_operand(N, begin.back(), tile_1x128, 3);
  const OnDevice on_a(a), on_b(b);
  const Scales dW = before(num_experts * M, N);
  cuda::Buffer<float> out(rows_of<float>(dW, N));
  const cuda::Buffer<int> on_begin(begin);
  cuda::fp8_wgrad_grouped({wgrad_of(a, b, on_a, on_b, out.data()), static_cast<int>(num_experts), on_begin.data()});
  const std::vector<float> found = out.to_host();
  for (Index e = 0; e < num_experts; ++e) {
    const Index first = begin[static_cast<std::size_t>(e)], count = begin[static_cast<std::size_t>(e + 1)] - first;
    const Scales of_expert = dW.middleRows(e * M, M);
    const float* const mine = found.data() + e * M * N;
    if (count == 0) CHECK(std::equal(mine, mine + M * N, of_expert.data()));
    else CHECK(outside_sum(mine, of_expert, tokens_from(a, first, count), tokens_from(b, first, count)) == "");
  }
}

TEST_CASE("fp8_wgrad: no tokens, no rows, no columns: nothing changes; what cannot be is refused") {
  const Operand a = random_operand(16, 128, tile_1x128, 1);
  const OnDevice on_a(a);
  const Scales dW = before(16, 16);
  cuda::Buffer<float> out(rows_of<float>(dW, 16));
  const cuda::Fp8Wgrad sound = wgrad_of(a, a, on_a, on_a, out.data());
  for (int cuda::Fp8Wgrad::*const size : {&cuda::Fp8Wgrad::M, &cuda::Fp8Wgrad::N, &cuda::Fp8Wgrad::K}) {
    cuda::Fp8Wgrad wgrad = sound;
    wgrad.*size = 0;
    cuda::fp8_wgrad(wgrad);
    wgrad.*size = -1;
    CHECK_THROWS_WITH_AS(cuda::fp8_wgrad(wgrad), doctest::Contains("none may be negative"), std::invalid_argument);
  }
  cuda::Fp8Wgrad wgrad = sound;
  wgrad.b_scales.stride = 15;
  CHECK_THROWS_WITH_AS(cuda::fp8_wgrad(wgrad), doctest::Contains("the scales of b are 15 values apart"),
                       std::invalid_argument);
  CHECK(out.to_host() == rows_of<float>(dW, 16));
}
