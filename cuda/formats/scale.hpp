// SPDX-License-Identifier: MIT
/// \file
/// From the largest magnitude of a group to its scale: reference/formats/scale.hpp, dialect deepseek_v3, E4M3.
#pragma once
#include <cstdint>

#include "cuda/core/kernel.cuh"

namespace dsv3::cuda {

/// How a scale comes from the largest magnitude of its group: amax / 448, or the power of two at or above it.
enum class Scale { fp32, ue8m0_ceil };

/// The scale of a group whose largest magnitude has these bits as an FP32 number: of integers a NaN is the largest.
/// A group with a NaN or an infinity: the quiet NaN, 0x7FC00000.
DSV3_BOTH float group_scale(std::uint32_t amax_bits, Scale kind) {
  constexpr std::uint32_t infinity = 0x7F80'0000u, quiet_nan = 0x7FC0'0000u, fraction = 0x7F'FFFFu;
  constexpr float least_amax = 1e-4f, largest = 448;
  if (amax_bits >= infinity) return __builtin_bit_cast(float, quiet_nan);
  const float amax = __builtin_bit_cast(float, amax_bits);
  const float s = (amax > least_amax ? amax : least_amax) / largest;
  if (kind == Scale::fp32) return s;
  const auto bits = __builtin_bit_cast(std::uint32_t, s);  // 2^-23 < s < 2^120: its exponent can rise by one
  return __builtin_bit_cast(float, (bits + fraction) & ~fraction);
}

}  // namespace dsv3::cuda
