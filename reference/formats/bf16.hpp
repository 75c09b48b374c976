// SPDX-License-Identifier: MIT
/// \file
/// BF16: 1 sign, 8 exponent, 7 fraction bits; the upper half of an FP32 (report section 3.3).
#pragma once
#include <bit>
#include <cstdint>

#include "reference/core/matrix.hpp"

namespace dsv3 {

/// The code of the nearest BF16 value, ties to even; overflow gives infinity, a NaN stays a (quiet) NaN with its sign.
inline std::uint16_t bf16_from_float(float x) {
  const auto u = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = (u + 0x7FFFu + ((u >> 16) & 1u)) >> 16;
  const std::uint32_t quiet_nan = (u >> 16) | 0x40u;
  return static_cast<std::uint16_t>((u & 0x7FFFFFFFu) > 0x7F800000u ? quiet_nan : rounded);
}

inline float float_from_bf16(std::uint16_t code) { return std::bit_cast<float>(std::uint32_t{code} << 16); }

/// Each value replaced by its nearest BF16 value.
Matrix round_to_bf16(Matrix m);

}  // namespace dsv3
