// SPDX-License-Identifier: MIT
/// \file
/// What every kernel does that ends in codes and scales: eight BF16 values of a lane, their largest magnitude, their
/// quotients by the scale.
#pragma once
#include "cuda/core/convert.cuh"
#include "cuda/formats/quantise.hpp"
#include "cuda/formats/tiles.hpp"

namespace dsv3::cuda {

/// Eight neighbouring BF16 values, two in a word.
using Eight = Vec<std::uint32_t, 4>;

/// The first `count` of eight values (all, where more), zeros after them. An address of whole eights.
DSV3_DEVICE Eight load_eight(const std::uint16_t* from, int count) {
  if (count >= 8) return __builtin_bit_cast(Eight, load<8>(from));
  Eight values{};
  for (int i = 0; i < 8; ++i)
    if (i < count) values.at[i / 2] |= std::uint32_t{from[i]} << (i % 2 * 16);
  return values;
}

DSV3_DEVICE void store_eight(std::uint16_t* to, const Eight& values) {
  store<8>(to, __builtin_bit_cast(Vec<std::uint16_t, 8>, values));
}

DSV3_DEVICE float value_of(const Eight& values, int i) {
  return i % 2 == 0 ? low_bf16(values.at[i / 2]) : high_bf16(values.at[i / 2]);
}

DSV3_DEVICE std::uint32_t magnitudes(std::uint32_t pair) { return pair & 0x7FFF'7FFFu; }

/// The bits, as of FP32, of the larger of two BF16 magnitudes.
DSV3_DEVICE std::uint32_t larger_of(std::uint32_t pair) {
  const std::uint32_t low = pair << 16, high = pair & 0xFFFF'0000u;
  return low > high ? low : high;
}

DSV3_DEVICE std::uint32_t amax_of(const Eight& values) {
  std::uint32_t most = 0;
  for (int i = 0; i < 4; ++i) most = max_of_halves(most, magnitudes(values.at[i]));
  return larger_of(most);
}

/// A scale and its reciprocal, both rounded once.
struct Divisor {
  explicit DSV3_DEVICE Divisor(float scale) : s(scale), reciprocal(1 / scale) {}
  float s, reciprocal;
};

/// The bits of x / s rounded once, for a BF16 x and a scale of group_scale, wherever the quotient is a normal number or
/// zero; NaN where s is. The error of x * (1 / s) is below two units in its last place; what is left of x, exact in
/// one fused operation, corrects it. That this is enough for significands of 8 and 24 bits was seen for all 2^30 of
/// them; sign and exponent change nothing. The sign of a zero, which the sum would lose, is x's.
DSV3_DEVICE float quotient(float x, const Divisor& by) {
  const float q = x * by.reciprocal, left = std::fma(-q, by.s, x);
  return std::copysign(std::fma(left, by.reciprocal, q), x);
}

DSV3_DEVICE std::uint16_t two_codes(float low, float high, const Divisor& by) {
  return two_e4m3(quotient(low, by), quotient(high, by));
}

/// n codes, two in each of n / 2 halves of a word, of which `count` (all, where more) are written.
template <int n>
DSV3_DEVICE void store_codes(std::uint8_t* to, const Vec<std::uint16_t, n / 2>& codes, int count) {
  if (count >= n) return store<n>(to, __builtin_bit_cast(Vec<std::uint8_t, n>, codes));
  for (int i = 0; i < n; ++i)
    if (i < count) to[i] = static_cast<std::uint8_t>(codes.at[i / 2] >> (i % 2 * 8));
}

DSV3_DEVICE Vec<std::uint16_t, 4> codes_of(const Eight& values, const Divisor& by) {
  Vec<std::uint16_t, 4> codes;
  for (int i = 0; i < 4; ++i) codes.at[i] = two_codes(low_bf16(values.at[i]), high_bf16(values.at[i]), by);
  return codes;
}

/// A team of 16 lanes has the k-th 128 values of a row, this lane eight of them (zeros beyond the matrix): their codes
/// and scale. Whole warps alone; a team whose group lies beyond the matrix [rows, cols] writes nothing.
DSV3_DEVICE void quantise_group(const Eight& values, row_tiles::Group group, int rows, int cols, const Fp8Output& out,
                                Scale kind) {
  using namespace row_tiles;
  const float s = group_scale(warp_max(amax_of(values), team), kind);
  const int place = lane() % team, col = group.k * group_size + place * per_lane;
  if (group.row >= rows || group.k * group_size >= cols) return;
  store_codes<per_lane>(out.codes + group.row * out.stride + col, codes_of(values, Divisor(s)), cols - col);
  if (place == 0) out.scales[group.k * out.scales_stride + group.row] = s;
}

}  // namespace dsv3::cuda
