// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <array>

#include "tests/cuda/linear/results.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

constexpr std::uint16_t untouched = 0xFFFF;

std::vector<Operand> weights_of_experts(Index num_experts, Index N, Index K) {
  std::vector<Operand> all;
  for (Index e = 0; e < num_experts; ++e)
    all.push_back(random_operand(N, K, block_128x128, 100 + 2 * static_cast<std::uint64_t>(e)));
  return all;
}

/// Rows first .. first + count - 1.
Operand rows_from(const Operand& x, Index first, Index count) {
  return {x.q.middleRows(first, count), x.s.middleRows(first, count), x.groups};
}

}  // namespace

TEST_CASE("fp8_gemm_grouped: every 128 rows with their expert's weight; padding is not written") {
  for (const auto& [M, N, K] : {std::array<Index, 3>{512, 130, 256}, {600, 64, 200}, {128, 322, 128}}) {
    std::vector<int> expert_of_block;
    for (Index i = 0; i < (M + 127) / 128; ++i) expert_of_block.push_back(std::array{2, -1, 0, 2, 1}[i % 5]);
    const Operand a = random_operand(M, K, tile_1x128, 1);
    const std::vector<Operand> b = weights_of_experts(3, N, K);
    const OnDevice on_a(a), on_b(stacked(b));
    const cuda::Buffer<int> experts(expert_of_block);
    cuda::Buffer<std::uint16_t> out(static_cast<std::size_t>(M * N));
    cuda::fp8_gemm_grouped({gemm_of(a, N, on_a, on_b, out.data()), 3, experts.data()});
    const std::vector<std::uint16_t> found = out.to_host();
    for (Index first = 0; first < M; first += 128) {
      const Index rows = std::min<Index>(128, M - first);
      const std::span<const std::uint16_t> block(found.data() + first * N, static_cast<std::size_t>(rows * N));
      const int expert = expert_of_block[static_cast<std::size_t>(first / 128)];
      if (expert < 0) CHECK(std::count(block.begin(), block.end(), untouched) == rows * N);
      else CHECK(outside(block, rows_from(a, first, rows), b[static_cast<std::size_t>(expert)]) == "");
    }
  }
}

TEST_CASE("fp8_gemm_masked: of each expert's rows those that are used, the others are not written") {
  for (const auto& [M, N, K] : {std::array<Index, 3>{256, 130, 256}, {200, 96, 130}}) {
    const std::vector<int> used{static_cast<int>(M), 0, 1, 129, 0};
    const auto num_experts = std::ssize(used);
    const std::vector<Operand> b = weights_of_experts(num_experts, N, K);
    std::vector<Operand> a;
    for (Index e = 0; e < num_experts; ++e)
      a.push_back(random_operand(M, K, tile_1x128, 50 + 2 * static_cast<std::uint64_t>(e)));
    const OnDevice on_a(stacked(a)), on_b(stacked(b));
    const Index steps = (K + 127) / 128, scales_stride = padded(M, 4);
    std::vector<float> scales;
    for (const Operand& x : a) {
      const auto of_expert = rows_of<float>(Scales(x.s.transpose()), scales_stride);
      scales.insert(scales.end(), of_expert.begin(), of_expert.end());
    }
    REQUIRE(std::ssize(scales) == num_experts * steps * scales_stride);
    const cuda::Buffer<float> on_scales(scales);
    const cuda::Buffer<int> rows(used);
    cuda::Buffer<std::uint16_t> out(static_cast<std::size_t>(num_experts * M * N));
    cuda::Fp8Gemm gemm = gemm_of(a[0], N, on_a, on_b, out.data());
    gemm.a_scales = {on_scales.data(), scales_stride};
    cuda::fp8_gemm_masked({gemm, static_cast<int>(num_experts), rows.data()});
    const std::vector<std::uint16_t> found = out.to_host();
    for (Index e = 0; e < num_experts; ++e) {
      const Index count = used[static_cast<std::size_t>(e)];
      const std::span<const std::uint16_t> all(found.data() + e * M * N, static_cast<std::size_t>(M * N));
      const auto rest = all.subspan(static_cast<std::size_t>(count * N));
      CHECK(std::count(rest.begin(), rest.end(), untouched) == std::ssize(rest));
      if (count == 0) continue;
      CHECK(outside(all.first(static_cast<std::size_t>(count * N)), rows_from(a[static_cast<std::size_t>(e)], 0, count),
                    b[static_cast<std::size_t>(e)]) == "");
    }
  }
}

TEST_CASE("fp8_gemm_grouped and masked: what cannot be is refused before any launch") {
  const Operand a = random_operand(128, 128, tile_1x128, 1), b = random_operand(64, 128, block_128x128, 2);
  const OnDevice on_a(a), on_b(b);
  cuda::Buffer<std::uint16_t> out(128 * 64);
  const auto refused = [&](const auto& change, const char* words) {
    cuda::Fp8GroupedGemm grouped{gemm_of(a, 64, on_a, on_b, out.data()), 1, nullptr};
    cuda::Fp8MaskedGemm masked{grouped.gemm, 1, nullptr};
    change(grouped), change(masked);
    CHECK_THROWS_WITH_AS(cuda::fp8_gemm_grouped(grouped), doctest::Contains(words), std::invalid_argument);
    CHECK_THROWS_WITH_AS(cuda::fp8_gemm_masked(masked), doctest::Contains(words), std::invalid_argument);
  };
  refused([](auto& x) { x.gemm.M = -1; }, "none may be negative");
  refused([](auto& x) { x.gemm.K = 0; }, "K is 0; it must be at least 1");
  refused([](auto& x) { x.gemm.N = 63; }, "both must be even");
  refused([](auto& x) { x.gemm.out_stride = 62; }, "not the smaller");
  refused([](auto& x) { ++x.gemm.out; }, "a multiple of 4 bytes");
  refused([](auto& x) { x.gemm.a.stride = 120; }, "the rows of a are 120 bytes apart");
  refused([](auto& x) { ++x.gemm.b.codes; }, "the codes of b do not begin");
  refused([](auto& x) { x.gemm.a_scales.stride = 127; }, "the scales of a are 127 values apart");
  refused([](auto& x) { x.gemm.b_scales.stride = 0; }, "the scales of b are 0 values apart");
  refused([](auto& x) { x.num_experts = -1; }, "there are -1 experts");
  for (const std::uint16_t value : out.to_host()) REQUIRE(value == untouched);
}
