// SPDX-License-Identifier: MIT
#include "reference/formats/format.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "reference/core/require.hpp"

namespace dsv3 {
namespace {

constexpr std::uint32_t float_sign = 0x8000'0000u, float_infinity = 0x7F80'0000u;

/// A magnitude's value; no NaN or infinity.
float value_of(const Format& f, std::uint32_t magnitude) {
  const auto exponent = static_cast<int>(magnitude >> f.fraction_bits);
  const std::uint32_t fraction = magnitude & ((1u << f.fraction_bits) - 1);
  if (!f.has_zero()) return std::ldexp(1.0f, exponent - f.bias);
  const std::uint32_t hidden = exponent == 0 ? 0 : 1u << f.fraction_bits;
  return std::ldexp(static_cast<float>(hidden + fraction), std::max(exponent, 1) - f.bias - f.fraction_bits);
}

/// 0x7E of E5M2, 0x7F of E4M3: the quiet NaN of positive sign.
std::uint32_t nan_code(const Format& f) {
  const std::uint32_t all = (1u << f.magnitude_bits()) - 1;
  return f.specials == Specials::ieee ? f.largest_code() + 1 + (1u << (f.fraction_bits - 1)) : all;
}

std::uint32_t with_sign(const Format& f, std::uint32_t magnitude, bool negative) {
  if (f.sign == Sign::twos_complement) return (negative ? 0u - magnitude : magnitude) & 0xFFu;
  return negative ? f.sign_bit() | magnitude : magnitude;
}

std::uint32_t overflow_code(const Format& f, Overflow overflow) {
  if (overflow == Overflow::saturate || f.specials == Specials::none) return f.largest_code();
  return f.specials == Specials::ieee ? f.largest_code() + 1 : nan_code(f);
}

/// t, a number with 32 bits after the point, rounded to an integer.
std::uint64_t round_to_integer(std::uint64_t t, Rounding rounding, std::uint32_t random) {
  if (rounding == Rounding::nearest_even) return (t + 0x7FFF'FFFFu + ((t >> 32) & 1u)) >> 32;
  return (rounding == Rounding::stochastic ? t + random : t) >> 32;
}

}  // namespace

float decode(FormatId id, std::uint32_t code) {
  const Format& f = format(id);
  code &= (1u << f.bits()) - 1;
  const bool negative = (code & f.sign_bit()) != 0;
  const std::uint32_t magnitude = f.sign == Sign::twos_complement ? with_sign(f, code, negative) : code & ~f.sign_bit();
  const float sign = negative ? -1.0f : 1.0f;
  if (f.specials == Specials::none || magnitude <= f.largest_code()) return sign * value_of(f, magnitude);
  if (f.specials == Specials::ieee && magnitude == f.largest_code() + 1)
    return sign * std::numeric_limits<float>::infinity();
  return std::copysign(std::numeric_limits<float>::quiet_NaN(), sign);
}

std::uint32_t encode_special(const Format& f, float x, Overflow overflow) {
  const bool negative = std::signbit(x);
  if (f.sign == Sign::none && (negative || std::isnan(x))) return nan_code(f);
  if (std::isinf(x)) return with_sign(f, overflow_code(f, overflow), negative);
  if (f.specials == Specials::none) return f.sign == Sign::magnitude && !negative ? f.sign_bit() : 0;
  return with_sign(f, nan_code(f), negative);
}

std::uint32_t encode(FormatId id, float x, Rounding rounding, Overflow overflow, std::uint32_t random) {
  const Format& f = format(id);
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t magnitude = bits & ~float_sign;
  const bool negative = bits != magnitude;
  if (magnitude >= float_infinity) return encode_special(f, x, overflow);
  if (f.sign == Sign::none && (negative || magnitude == 0)) return nan_code(f);

  // |x| = significand 2^(exponent - 23); the format's neighbours lie 2^(quantum - fraction_bits) apart.
  const int exponent = std::max(static_cast<int>(magnitude >> 23), 1) - 127;
  const std::uint64_t significand = (magnitude & 0x7F'FFFFu) | (magnitude >= 0x80'0000u ? 0x80'0000u : 0);
  const int quantum = std::max(exponent, f.min_exponent());
  const int shift = quantum - exponent + 23 - f.fraction_bits;
  const std::uint64_t t = (significand << 32) >> std::min(shift, 63);
  const std::uint64_t binades = static_cast<std::uint64_t>(quantum - f.min_exponent()) << f.fraction_bits;
  const std::uint64_t code = binades + round_to_integer(t, rounding, random);

  if (code <= f.largest_code()) return with_sign(f, static_cast<std::uint32_t>(code), negative);
  const bool finite = rounding == Rounding::toward_zero;
  return with_sign(f, finite ? f.largest_code() : overflow_code(f, overflow), negative);
}

const std::array<float, 256>& values_of(FormatId id) {
  require(format(id).bits() <= 8, "values_of", format(id).name, " has codes of ", format(id).bits(), " bits");
  static const auto all = [] {
    std::array<std::array<float, 256>, formats.size()> values{};
    for (std::size_t i = 0; i < formats.size(); ++i)
      for (std::uint32_t code = 0; code < 256; ++code) values[i][code] = decode(static_cast<FormatId>(i), code);
    return values;
  }();
  return all[static_cast<std::size_t>(id)];
}

}  // namespace dsv3
