// SPDX-License-Identifier: MIT
/// \file
/// E4M3 ("fn"): 1 sign, 4 exponent, 3 fraction bits; what the released weights are stored in (report section 3.3).
#pragma once
#include <array>
#include <bit>
#include <cstdint>

namespace dsv3 {

/// The value of an E4M3 code S EEEE MMM, exact: (-1)^S 2^(E-7) (1 + M/8), and (-1)^S 2^-6 M/8 for E = 0.
///
/// There are no infinities: E = 15 holds the normal numbers 256 .. 448, and only 0x7F and 0xFF are (quiet) NaN, of that
/// sign. 0x80 is -0. The smallest positive values are 2^-9 (subnormal) and 2^-6 (normal).
constexpr float float_from_e4m3(std::uint8_t code) {
  const std::uint32_t sign = std::uint32_t{code} >> 7, exponent = (code >> 3) & 15u, fraction = code & 7u;
  if ((code & 0x7Fu) == 0x7Fu) return std::bit_cast<float>((sign << 31) | 0x7FC00000u);
  if (exponent == 0) return (sign ? -0x1p-9f : 0x1p-9f) * static_cast<float>(fraction);
  return std::bit_cast<float>((sign << 31) | ((exponent + 120u) << 23) | (fraction << 20));
}

/// float_from_e4m3 of all 256 codes.
const std::array<float, 256>& e4m3_values();

}  // namespace dsv3
