// SPDX-License-Identifier: MIT
/// \file
/// Products of FP8 codes a second time, written differently: one element after the other, in integers, from the bits of
/// the codes and not from a table of values.
#pragma once
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "reference/linear/fp8_gemm.hpp"
#include "tests/support/compare.hpp"

namespace dsv3::test {

__extension__ using Int128 = __int128;

/// (-1)^negative magnitude 2^exponent; a subnormal and a normal code differ in `exponent` as the hardware has it.
struct Bits {
  bool negative = false, nan = false, infinite = false;
  Int128 magnitude = 0;
  int exponent = 0;  ///< of the significand's leading position, as step 1 of Sum::aligned counts
  int unit = 0;      ///< value = magnitude 2^unit
};

/// Those of a code of eight bits, by the format's numbers.
inline Bits bits_of(const Format& f, std::uint8_t code) {
  const int exponent = (code & 0x7F) >> f.fraction_bits, fraction = code & ((1 << f.fraction_bits) - 1);
  const bool top = exponent == (0x7F >> f.fraction_bits), infinities = f.specials == Specials::ieee;
  Bits b{.negative = code >= 128};
  b.nan = infinities ? top && fraction != 0 : (code & 0x7F) == 0x7F;
  b.infinite = infinities && top && fraction == 0;
  b.magnitude = exponent == 0 ? fraction : fraction + (1 << f.fraction_bits);
  b.exponent = (exponent == 0 ? 1 : exponent) - f.bias;
  b.unit = b.exponent - f.fraction_bits;
  return b;
}

inline int length(Int128 magnitude) {
  int bits = 0;
  for (; magnitude != 0; magnitude >>= 1) ++bits;
  return bits;
}

/// magnitude / 2^shift without the bits below, or magnitude 2^-shift.
inline Int128 shifted(Int128 magnitude, int shift, Cut cut) {
  if (shift <= 0) return magnitude << -shift;
  if (shift > 120) return 0;
  const Int128 kept = magnitude >> shift, lost = magnitude - (kept << shift), half = Int128{1} << (shift - 1);
  const bool up = cut == Cut::to_nearest_even && (lost > half || (lost == half && kept % 2 == 1));
  return kept + up;
}

/// A number in integers: an accumulator, or a term of a sum.
struct Number {
  Int128 value = 0;  ///< with its sign
  int unit = 0;      ///< times 2^unit
  int exponent() const { return unit + length(value < 0 ? -value : value) - 1; }
  float to_float() const { return std::ldexp(static_cast<float>(static_cast<std::int64_t>(value)), unit); }
};

inline Int128 with_sign(bool negative, Int128 magnitude) { return negative ? -magnitude : magnitude; }

/// `sum` 2^unit cut to so many bits after the leading one.
inline Number normalised(Int128 sum, int unit, int fraction_bits, Cut cut) {
  const Int128 magnitude = sum < 0 ? -sum : sum;
  const int drop = std::max(0, length(magnitude) - 1 - fraction_bits);
  return {with_sign(sum < 0, shifted(magnitude, drop, cut)), unit + drop};
}

inline Number aligned_step(const Accumulation& how, const Number& c, const std::vector<Number>& products,
                           const std::vector<int>& exponents) {
  int E = c.value == 0 ? -1000 : c.exponent();
  for (std::size_t i = 0; i < products.size(); ++i)
    if (products[i].value != 0) E = std::max(E, exponents[i]);
  const int unit = E - how.fraction_bits;
  Int128 sum = 0;
  const auto add = [&](const Number& term) {
    sum +=
        with_sign(term.value < 0, shifted(term.value < 0 ? -term.value : term.value, unit - term.unit, how.align_cut));
  };
  if (c.value != 0) add(c);
  for (const Number& product : products)
    if (product.value != 0) add(product);
  return normalised(sum, unit, how.output_fraction_bits, how.output_cut);
}

/// The sum of an interval of codes a and b.
inline float twin_sum(const Accumulation& how, FormatId A, FormatId B, const std::vector<std::uint8_t>& a,
                      const std::vector<std::uint8_t>& b) {
  const auto together = how.sum == Accumulation::Sum::aligned ? static_cast<std::size_t>(how.together()) : 1;
  bool nan = false, above = false, below = false;
  Number c;
  Int128 exact = 0;  // in units of 2^-32
  for (std::size_t i = 0; i < a.size(); i += together) {
    std::vector<Number> products;
    std::vector<int> exponents;
    for (std::size_t k = i; k < std::min(i + together, a.size()); ++k) {
      const Bits x = bits_of(format(A), a[k]), y = bits_of(format(B), b[k]);
      const bool negative = x.negative != y.negative, zero = x.magnitude == 0 || y.magnitude == 0;
      nan = nan || x.nan || y.nan || ((x.infinite || y.infinite) && zero);
      if (x.infinite || y.infinite) (negative ? below : above) = true;
      products.push_back({with_sign(negative, x.magnitude * y.magnitude), x.unit + y.unit});
      exponents.push_back(x.exponent + y.exponent);
    }
    if (nan || above || below) continue;
    if (how.sum == Accumulation::Sum::aligned) c = aligned_step(how, c, products, exponents);
    else {
      const Int128 product = products[0].value << (products[0].unit + 32);
      exact += product;
      // each FP32 on the way is a multiple of 2^-32, as the products are
      if (how.sum == Accumulation::Sum::fp32_chain)
        c = normalised((c.value << (c.unit + 32)) + product, -32, 23, Cut::to_nearest_even);
      if (c.value == 0) c.unit = -32;
    }
  }
  if (nan || (above && below)) return std::numeric_limits<float>::quiet_NaN();
  if (above || below) return (below ? -1 : 1) * std::numeric_limits<float>::infinity();
  if (how.sum == Accumulation::Sum::exact) c = normalised(exact, -32, 23, Cut::to_nearest_even);
  return c.value == 0 ? 0.0f : c.to_float();
}

/// A matrix of codes with its format: what tests make, and read as an operand.
struct Coded {
  Codes q;
  Scales s;
  Groups groups;
  FormatId format;
  operator Fp8Operand() const { return {q, s, groups, values_of(format).data(), dsv3::format(format).min_exponent()}; }
  std::uint8_t code(bool transposed, Index i, Index k) const { return transposed ? q(k, i) : q(i, k); }
  float scale(bool transposed, Index i, Index k) const {
    const Index row = transposed ? k : i, col = transposed ? i : k;
    return s(row / groups.rows, col / groups.cols);
  }
};

/// Element (i, j) of a b^T over k0 <= k < k1 as the contract of fp8_gemm.hpp says.
inline float twin_element(const Coded& a, bool a_T, const Coded& b, bool b_T, const Fp8Arithmetic& how, Index i,
                          Index j, Index k0, Index k1) {
  float acc = 0;
  const Index interval = how.accumulation.interval == 0 ? std::max<Index>(1, k1 - k0) : how.accumulation.interval;
  for (Index begin = k0; begin < k1; begin += interval) {
    std::vector<std::uint8_t> x, y;
    for (Index k = begin; k < std::min(begin + interval, k1); ++k) {
      x.push_back(a.code(a_T, i, k));
      y.push_back(b.code(b_T, j, k));
    }
    const float p = twin_sum(how.accumulation, a.format, b.format, x, y);
    const float s_a = a.scale(a_T, i, begin), s_b = b.scale(b_T, j, begin);
    if (how.order == ScaleOrder::in_turn) {
      const float scaled = p * s_a, twice = scaled * s_b;
      acc += twice;
    } else acc = std::fma(p, s_a * s_b, acc);
  }
  return acc;
}

inline Scales twin_product(const Coded& a, bool a_T, const Coded& b, bool b_T, const Fp8Arithmetic& how) {
  const Index rows = a_T ? a.q.cols() : a.q.rows(), cols = b_T ? b.q.cols() : b.q.rows();
  Scales out(rows, cols);
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j)
      out(i, j) = twin_element(a, a_T, b, b_T, how, i, j, 0, a_T ? a.q.rows() : a.q.cols());
  return out;
}

}  // namespace dsv3::test
