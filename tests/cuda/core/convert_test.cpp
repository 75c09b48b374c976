// SPDX-License-Identifier: MIT
#include "cuda/core/convert.cuh"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "reference/core/random.hpp"

using namespace dsv3::cuda;

namespace {
constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
}

TEST_CASE("convert: a word holds two BF16 values, the first in its lower half; NaN has one code") {
  CHECK(two_bf16(1, -2) == 0xC000'3F80u);
  CHECK(two_bf16(0x1.01p0f, 0x1.03p0f) == 0x3F82'3F80u);  // ties: to even
  CHECK(two_bf16(-quiet_nan, infinity) == 0x7F80'7FFFu);
  CHECK(two_bf16(std::numeric_limits<float>::max(), -0.0f) == 0x8000'7F80u);
  CHECK(low_bf16(0xC000'3F80u) == 1);
  CHECK(high_bf16(0xC000'3F80u) == -2);
}

TEST_CASE("convert: two FP8 codes, the first in the lower byte; what is too large saturates, a NaN loses its sign") {
  CHECK(two_e4m3(1, -2) == 0xC038);
  CHECK(two_e4m3(1e9f, -infinity) == 0xFE7E);
  CHECK(two_e4m3(quiet_nan, -quiet_nan) == 0x7F7F);
  CHECK(two_e4m3(0x1p-9f, 0x1p-10f) == 0x0001);  // a tie below the least subnormal: to 0
  CHECK(two_e5m2(1, -2) == 0xC03C);
  CHECK(two_e5m2(1e9f, -infinity) == 0xFB7B);
}

TEST_CASE("convert: halves of a word are compared apart, as unsigned numbers") {
  CHECK(max_of_halves(0x0001'FFFFu, 0x8000'0000u) == 0x8000'FFFFu);
  dsv3::Random random(1);
  for (int i = 0; i < 1000; ++i) {
    const auto a = static_cast<std::uint32_t>(random.bits()), b = static_cast<std::uint32_t>(random.bits());
    const std::uint32_t most = max_of_halves(a, b);
    REQUIRE((most & 0xFFFF) == std::max(a & 0xFFFF, b & 0xFFFF));
    REQUIRE((most >> 16) == std::max(a >> 16, b >> 16));
  }
}

TEST_CASE("convert: the floor, as a number and as an integer") {
  for (const float x : {0.0f, 0.5f, 1.0f, -0.5f, -1.0f, -0x1p-140f, 0x1p-140f, 127.99999f, -115.5f, 4194303.5f}) {
    const Whole floor = floor_of(x);
    CHECK(floor.value == std::floor(x));
    CHECK(floor.integer == static_cast<int>(std::floor(x)));
  }
}
