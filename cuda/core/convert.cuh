// SPDX-License-Identifier: MIT
/// \file
/// Conversions between formats, two values at a time as Hopper has them; what an instruction does to a NaN is said
/// here.
#pragma once
#include "cuda/core/bf16.cuh"

#ifndef __CUDACC__
#include <algorithm>
#include <cmath>

#include "reference/formats/format.hpp"
#endif

namespace dsv3::cuda {

DSV3_BOTH std::uint32_t bits_of(float x) { return __builtin_bit_cast(std::uint32_t, x); }
DSV3_BOTH float float_of(std::uint32_t bits) { return __builtin_bit_cast(float, bits); }

/// Of two BF16 values in a word, the one in its lower bits and the other.
DSV3_BOTH float low_bf16(std::uint32_t pair) { return float_of(pair << 16); }
DSV3_BOTH float high_bf16(std::uint32_t pair) { return float_of(pair & 0xFFFF'0000u); }

/// A whole number, also as an integer.
struct Whole {
  float value;
  int integer;
};

#ifdef __CUDACC__

/// To BF16, nearest even. A NaN becomes 0x7FFF.
DSV3_DEVICE std::uint32_t two_bf16(float low, float high) {
  std::uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

/// To E4M3, nearest even, saturating, infinities too. A NaN becomes 0x7F.
DSV3_DEVICE std::uint16_t two_e4m3(float low, float high) {
  std::uint16_t pair;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(high), "f"(low));
  return pair;
}

/// To E5M2, nearest even, saturating, infinities too. Which NaN a NaN becomes is not said.
DSV3_DEVICE std::uint16_t two_e5m2(float low, float high) {
  std::uint16_t pair;
  asm("cvt.rn.satfinite.e5m2x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(high), "f"(low));
  return pair;
}

/// The larger of each half's unsigned integers.
DSV3_DEVICE std::uint32_t max_of_halves(std::uint32_t a, std::uint32_t b) { return __vmaxu2(a, b); }

/// The largest whole number that is not above x, |x| < 2^22: rounded down where the last bit counts ones.
DSV3_DEVICE Whole floor_of(float x) {
  constexpr float ones = 0x1.8p23f;
  const float sum = __fadd_rd(x, ones);
  return {sum - ones, static_cast<int>(bits_of(sum) - bits_of(ones))};
}

#else

inline std::uint32_t two_bf16(float low, float high) { return bf16_of(low) | std::uint32_t{bf16_of(high)} << 16; }

inline std::uint16_t two_fp8(FormatId format, float low, float high) {
  const auto code = [format](float x) { return std::isnan(x) ? 0x7Fu : encode(format, x); };
  return static_cast<std::uint16_t>(code(low) | code(high) << 8);
}
inline std::uint16_t two_e4m3(float low, float high) { return two_fp8(FormatId::e4m3, low, high); }
inline std::uint16_t two_e5m2(float low, float high) { return two_fp8(FormatId::e5m2, low, high); }

inline std::uint32_t max_of_halves(std::uint32_t a, std::uint32_t b) {
  return std::max(a & 0xFFFFu, b & 0xFFFFu) | std::max(a >> 16, b >> 16) << 16;
}

inline Whole floor_of(float x) { return {std::floor(x), static_cast<int>(std::floor(x))}; }

#endif

}  // namespace dsv3::cuda
