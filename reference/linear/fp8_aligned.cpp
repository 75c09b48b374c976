// SPDX-License-Identifier: MIT
#include <Eigen/Core>
#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#include "reference/linear/fp8_panels.hpp"

#pragma GCC diagnostic ignored "-Wpsabi"  // wide vectors cross no border of this file

namespace dsv3 {
namespace {

constexpr Index lanes = 8;
using Floats [[gnu::vector_size(32)]] = float;
using Ints [[gnu::vector_size(32)]] = std::int32_t;
using HalfInts [[gnu::vector_size(16)]] = std::int32_t;
using HalfFloats [[gnu::vector_size(16)]] = float;
using Doubles [[gnu::vector_size(32)]] = double;
using Longs [[gnu::vector_size(32)]] = std::int64_t;
using Bytes [[gnu::vector_size(16)]] = std::int8_t;

template <class Vector>
Vector load(const void* from) {
  Vector v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

Ints max(const Ints& x, const Ints& y) { return x > y ? x : y; }
Floats power_of_2(const Ints& exponent) { return std::bit_cast<Floats>((exponent + 127) << 23); }

/// Step 5 of Sum::aligned; |x| < 2^31.
template <Cut cut>
Ints to_integers(Floats x) {
  if constexpr (cut == Cut::toward_zero) return __builtin_convertvector(x, Ints);
  else {
    using Packet = Eigen::internal::packet_traits<float>::type;
    constexpr Index size = Eigen::internal::packet_traits<float>::size;
    float values[lanes];
    std::memcpy(values, &x, sizeof x);
    for (Index i = 0; i < lanes; i += size)
      Eigen::internal::pstoreu(values + i, Eigen::internal::print(Eigen::internal::ploadu<Packet>(values + i)));
    return __builtin_convertvector(load<Floats>(values), Ints);
  }
}

/// Bits of a floating-point number without the last `dropped` of them.
template <class Bits>
Bits cut_bits(Bits bits, int dropped, Cut cut) {
  using One = std::remove_reference_t<decltype(bits[0])>;
  const One lost = (One{1} << dropped) - 1;
  if (cut == Cut::to_nearest_even && dropped > 0) {      // may carry into the exponent, as it should
    const Bits odd = (bits & (One{1} << dropped)) != 0;  // all ones where it is
    bits += (lost >> 1) - odd;
  }
  return bits & ~lost;
}

/// The sums of eight elements of a step, in units of 2^(E - F), and what they become.
template <bool narrow>
class Total;

/// Every sum and every part of one is below 2^24: an FP32 holds it.
template <>
class Total<true> {
 public:
  void add(const Ints& part) { sum_ += part; }
  Floats register_value(const Accumulation& how, const Ints& unit) const {
    const Floats value = __builtin_convertvector(sum_, Floats) * power_of_2(unit);
    return std::bit_cast<Floats>(cut_bits(std::bit_cast<Ints>(value), 23 - how.output_fraction_bits, how.output_cut));
  }

 private:
  Ints sum_{};
};

HalfInts lower(const Ints& x) { return __builtin_shufflevector(x, x, 0, 1, 2, 3); }
HalfInts upper(const Ints& x) { return __builtin_shufflevector(x, x, 4, 5, 6, 7); }

/// Below 2^53, in parts below 2^31.
template <>
class Total<false> {
 public:
  void add(const Ints& part) {
    low_ += __builtin_convertvector(lower(part), Doubles);
    high_ += __builtin_convertvector(upper(part), Doubles);
  }
  Floats register_value(const Accumulation& how, const Ints& unit) const {
    const HalfFloats low = half(how, low_, lower(unit)), high = half(how, high_, upper(unit));
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
  }

 private:
  static HalfFloats half(const Accumulation& how, const Doubles& sum, const HalfInts& unit) {
    const Longs power = (__builtin_convertvector(unit, Longs) + 1023) << 52;
    const Longs bits = std::bit_cast<Longs>(sum * std::bit_cast<Doubles>(power));
    return __builtin_convertvector(
        std::bit_cast<Doubles>(cut_bits(bits, 52 - how.output_fraction_bits, how.output_cut)), HalfFloats);
  }
  Doubles low_{}, high_{};
};

/// Products whose integers, each below 4 * 2^F, add up in 32 bits.
Index products_of_a_part(const Accumulation& how) {
  return std::min(how.together(), Index{1} << (29 - how.fraction_bits));
}

/// E of the products of a step, for each column of the panel: e_a + e_b at most.
void largest_exponents(std::int32_t* E, const PanelBlock& block, Index row, Index k, Index count) {
  const Index step_k = block.a.step_k;
  const std::int8_t* const e_a = &block.a.exponents[row * block.a.step + k * step_k];
  const std::int8_t* const e_b = block.b_exponents + k * fp8_panel;
  Bytes largest = Bytes{} + std::int8_t{zero_exponent};
#pragma GCC unroll 4
  for (Index i = 0; i < count; ++i) {
    const Bytes e = load<Bytes>(e_b + i * fp8_panel) + e_a[i * step_k];
    largest = e > largest ? e : largest;
  }
  std::int8_t each[fp8_panel];
  std::memcpy(each, &largest, sizeof each);
  for (Index j = 0; j < fp8_panel; ++j) E[j] = each[j];
}

/// One step: products k .. k + count - 1 of one row with half of the panel, added to its sums.
template <bool narrow, Cut cut>
void add_step(const Accumulation& how, const PanelBlock& block, Index row, Index k, Index count, Index part,
              const std::int32_t* products_E, Index half, bool fresh) {
  float* const sums = block.sums + row * fp8_panel + half;
  const Index step_k = block.a.step_k;
  const float *a = &block.a.a[row * block.a.step + k * step_k], *b = block.b + k * fp8_panel + half;
  const Floats c = fresh ? Floats{} : load<Floats>(sums);
  const Ints e_c = ((std::bit_cast<Ints>(c) >> 23) & 0xFF) - 127;
  const Ints E = max(load<Ints>(products_E + half), e_c);
  const Floats scale = power_of_2(how.fraction_bits - E);
  Total<narrow> total;
  total.add(to_integers<cut>(c * scale));
  for (Index begin = 0; begin < count; begin += part) {
    const Index end = std::min(begin + part, count);
    Ints sum{};
#pragma GCC unroll 4
    for (Index i = begin; i < end; ++i)
      sum += to_integers<cut>(load<Floats>(b + i * fp8_panel) * a[i * step_k] * scale);
    total.add(sum);
  }
  const Floats value = total.register_value(how, E - how.fraction_bits);
  std::memcpy(sums, &value, sizeof value);
}

template <bool narrow, Cut cut>
void multiply(const Accumulation& how, const PanelBlock& block) {
  const Index together = how.together(), part = products_of_a_part(how);
  for (Index k = 0; k < block.depth; k += together)
    for (Index row = 0; row < block.rows; ++row) {
      const Index count = std::min(together, block.depth - k);
      std::int32_t E[fp8_panel];
      largest_exponents(E, block, row, k, count);
      for (Index half = 0; half < fp8_panel; half += lanes)
        add_step<narrow, cut>(how, block, row, k, count, part, E, half, k == 0 && !block.go_on);
    }
}

}  // namespace

void aligned_panel(const Accumulation& how, const PanelBlock& block) {
  const bool narrow = (4 * how.together() + 2) << how.fraction_bits <= Index{1} << 24;
  if (how.align_cut == Cut::toward_zero)
    (narrow ? multiply<true, Cut::toward_zero> : multiply<false, Cut::toward_zero>)(how, block);
  else (narrow ? multiply<true, Cut::to_nearest_even> : multiply<false, Cut::to_nearest_even>)(how, block);
}

}  // namespace dsv3
