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

constexpr Index lanes = 8, halves = fp8_panel / lanes;
using Floats [[gnu::vector_size(32)]] = float;
using Ints [[gnu::vector_size(32)]] = std::int32_t;
using Doubles [[gnu::vector_size(64)]] = double;
using Longs [[gnu::vector_size(64)]] = std::int64_t;
using Bytes [[gnu::vector_size(16)]] = std::int8_t;
using HalfBytes [[gnu::vector_size(8)]] = std::int8_t;

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
  if (dropped == 0) return bits;
  using One = std::remove_reference_t<decltype(bits[0])>;
  if (cut == Cut::to_nearest_even)  // may carry into the exponent, as it should
    bits += ((bits >> dropped) & One{1}) + ((One{1} << (dropped - 1)) - 1);
  return (bits >> dropped) << dropped;
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

/// Below 2^53, in parts below 2^31.
template <>
class Total<false> {
 public:
  void add(const Ints& part) { sum_ += __builtin_convertvector(part, Doubles); }
  Floats register_value(const Accumulation& how, const Ints& unit) const {
    const Longs power = (__builtin_convertvector(unit, Longs) + 1023) << 52;
    const Longs bits = std::bit_cast<Longs>(sum_ * std::bit_cast<Doubles>(power));
    return __builtin_convertvector(
        std::bit_cast<Doubles>(cut_bits(bits, 52 - how.output_fraction_bits, how.output_cut)), Floats);
  }

 private:
  Doubles sum_{};
};

/// Products whose integers, each below 4 * 2^F, add up in 32 bits.
Index products_of_a_part(const Accumulation& how) {
  return std::min(how.together(), Index{1} << (29 - how.fraction_bits));
}

/// One step: products k .. k + count - 1 of one row with the panel, added to its sums.
template <bool narrow, Cut cut>
void add_step(const Accumulation& how, const PanelBlock& block, Index row, Index k, Index count, bool fresh) {
  const Index step_k = block.a.step_k, at = row * block.a.step + k * step_k;
  const std::int8_t *e_a = &block.a.exponents[at], *e_b = block.b_exponents + k * fp8_panel;
  Bytes largest = Bytes{} + std::int8_t{zero_exponent};
  for (Index i = 0; i < count; ++i) {
    const Bytes e = load<Bytes>(e_b + i * fp8_panel) + e_a[i * step_k];
    largest = e > largest ? e : largest;
  }
  HalfBytes e_half[halves];
  std::memcpy(e_half, &largest, sizeof largest);
  float* const sums = block.sums + row * fp8_panel;
  const float *a = &block.a.a[at], *b = block.b + k * fp8_panel;
  const Index part = products_of_a_part(how);
  Ints E[halves];
  Floats scale[halves];
  Total<narrow> total[halves];
  for (Index h = 0; h < halves; ++h) {
    const Floats c = fresh ? Floats{} : load<Floats>(sums + h * lanes);
    const Ints e_c = ((std::bit_cast<Ints>(c) >> 23) & 0xFF) - 127;
    E[h] = max(max(__builtin_convertvector(e_half[h], Ints), e_c), Ints{} + zero_exponent);
    scale[h] = power_of_2(how.fraction_bits - E[h]);
    total[h].add(to_integers<cut>(c * scale[h]));
  }
  for (Index begin = 0; begin < count; begin += part) {
    const Index end = std::min(begin + part, count);
    Ints sum[halves]{};
    for (Index i = begin; i < end; ++i)
      for (Index h = 0; h < halves; ++h)
        sum[h] += to_integers<cut>(load<Floats>(b + i * fp8_panel + h * lanes) * a[i * step_k] * scale[h]);
    for (Index h = 0; h < halves; ++h) total[h].add(sum[h]);
  }
  for (Index h = 0; h < halves; ++h) {
    const Floats value = total[h].register_value(how, E[h] - how.fraction_bits);
    std::memcpy(sums + h * lanes, &value, sizeof value);
  }
}

template <bool narrow, Cut cut>
void multiply(const Accumulation& how, const PanelBlock& block) {
  for (Index row = 0; row < block.rows; ++row)
    for (Index k = 0; k < block.depth; k += how.together())
      add_step<narrow, cut>(how, block, row, k, std::min(how.together(), block.depth - k), k == 0 && !block.go_on);
}

}  // namespace

void aligned_panel(const Accumulation& how, const PanelBlock& block) {
  const bool narrow = (4 * how.together() + 2) << how.fraction_bits <= Index{1} << 24;
  if (how.align_cut == Cut::toward_zero)
    (narrow ? multiply<true, Cut::toward_zero> : multiply<false, Cut::toward_zero>)(how, block);
  else (narrow ? multiply<true, Cut::to_nearest_even> : multiply<false, Cut::to_nearest_even>)(how, block);
}

}  // namespace dsv3
