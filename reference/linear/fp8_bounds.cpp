// SPDX-License-Identifier: MIT
#include "reference/linear/fp8_bounds.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "reference/core/require.hpp"
#include "reference/core/threads.hpp"

namespace dsv3 {
namespace {

using Sum = Accumulation::Sum;
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double upwards = 1 + 0x1p-40;  // more than the roundings of these sums of doubles
#ifdef __FMA__
constexpr bool fused = true;
#else
constexpr bool fused = false;
#endif

/// floor(log2 x) of a bound: of a little more than x. x >= 0.
int exponent_above(double x) { return static_cast<int>(std::bit_cast<std::uint64_t>(x * upwards) >> 52) - 1023; }
double half_ulp(double x) { return std::ldexp(1.0, std::max(exponent_above(x), -126) - 24); }
double width(Cut cut) { return cut == Cut::toward_zero ? 1 : 0.5; }  // of what a cut loses, in units

/// What the bound reads of a factor: |value|, the exponent of step 1, and that of the lowest bit set.
struct Factor8 {
  double magnitude;
  int exponent, lowest;
};

Factor8 factor_of(float value, int min_exponent) {
  if (value == 0 || !std::isfinite(value)) return {std::abs(value), 0, 0};
  int lowest = -16;
  while (std::fmod(value, std::ldexp(1.0f, lowest + 1)) == 0) ++lowest;
  return {std::abs(value), std::max(std::ilogb(value), min_exponent), lowest};
}

/// A sum on its way: how large it can be, and how far from the exact one.
struct Reach {
  double magnitude = 0, error = 0;
};

struct Step {
  const Factor8 *a, *b;
  Index count;
  double product(Index i) const { return a[i].magnitude * b[i].magnitude; }
  int lowest(Index i) const { return a[i].lowest + b[i].lowest; }
};

/// One step of the tensor core: docs/bounds/gemm.md, (1) to (3).
void add_step(Reach& c, const Accumulation& how, const Step& step) {
  int m = std::numeric_limits<int>::min();
  double sum = 0;
  for (Index i = 0; i < step.count; ++i)
    if (step.product(i) != 0) m = std::max(m, step.a[i].exponent + step.b[i].exponent), sum += step.product(i);
  const bool longer = how.output_fraction_bits > how.fraction_bits;
  if (sum == 0 && !longer) return;
  const int E = c.magnitude == 0 ? m : std::max(m, exponent_above(c.magnitude));
  const double align = width(how.align_cut), q = std::ldexp(align, E - how.fraction_bits);
  double lost = 0;
  for (Index i = 0; i < step.count; ++i)
    if (step.product(i) != 0 && step.lowest(i) < E - how.fraction_bits) lost += std::min(step.product(i), q);
  lost += std::min(c.magnitude, longer ? q : std::ldexp(align, m - how.fraction_bits));
  const double before_cut = c.magnitude + sum + (how.align_cut == Cut::toward_zero ? 0 : lost);
  const int unit = exponent_above(before_cut) - how.output_fraction_bits;
  if (unit > m - how.fraction_bits) lost += std::ldexp(width(how.output_cut), unit);
  c.magnitude = before_cut + (how.output_cut == Cut::toward_zero ? 0 : std::ldexp(0.5, unit));
  c.error += lost;
}

/// A sum of FP32: docs/bounds/gemm.md, (4). With `at_once`, rounded once at the end.
Reach reach_of_fp32(const Step& all, bool at_once) {
  Reach c;
  int lowest = std::numeric_limits<int>::max();
  const auto round = [&] {
    if (c.magnitude == 0 || exponent_above(c.magnitude) - 23 <= lowest) return;
    c.error += half_ulp(c.magnitude);
    c.magnitude += half_ulp(c.magnitude);
  };
  for (Index i = 0; i < all.count; ++i) {
    if (all.product(i) == 0) continue;
    lowest = std::min(lowest, all.lowest(i));
    c.magnitude += all.product(i);
    if (!at_once) round();
  }
  if (at_once) round();
  return c;
}

Reach reach_of_interval(const Accumulation& how, const Step& all) {
  if (how.sum != Sum::aligned) return reach_of_fp32(all, how.sum == Sum::exact);
  Reach c;
  for (Index i = 0; i < all.count; i += how.together())
    add_step(c, how, {all.a + i, all.b + i, std::min(how.together(), all.count - i)});
  return c;
}

/// The promotion of an interval's sum p: docs/bounds/gemm.md, (5).
void promote(Reach& acc, const Reach& p, float s_a, float s_b, ScaleOrder order) {
  const double exact = std::abs(double{s_a} * s_b), a = std::abs(s_a), b = std::abs(s_b);
  double term = 0, lost = p.error * exact;  // |p s_a s_b| as computed, and how far off
  if (order == ScaleOrder::together) {
    const double s = std::abs(s_a * s_b);
    term = p.magnitude * s;
    lost += std::abs(s - exact) * p.magnitude;
    if (!fused) lost += half_ulp(term), term += half_ulp(term);
  } else {
    const double first = half_ulp(p.magnitude * a), second = half_ulp((p.magnitude * a + first) * b);
    term = (p.magnitude * a + first) * b + second;
    lost += first * b + second;
  }
  const double sum = acc.magnitude + term;
  acc = {sum + half_ulp(sum), acc.error + lost + half_ulp(sum)};
}

void require_part(const Fp8Part& part, const char* where, const char* name) {
  require_operand(*part.operand, where, name);
  const Fp8Part all = whole(*part.operand, part.transposed);
  const auto is_inside = [](Index first, Index count, Index of) {
    return 0 <= first && 0 <= count && count <= of && first <= of - count;
  };
  require(is_inside(part.first, part.size, all.size) && is_inside(part.first_k, part.depth, all.depth), where, name,
          " is asked for ", part.size, " vectors from ", part.first, " on, of ", part.depth, " codes from ",
          part.first_k, " on; it has ", all.size, " of ", all.depth);
}

std::vector<Factor8> factors_of(const Fp8Part& part, const std::vector<Factor8>& of_code, Index i) {
  std::vector<Factor8> factors(static_cast<std::size_t>(part.depth));
  for (Index k = 0; k < part.depth; ++k) factors[k] = of_code[*part.codes(i, k)];
  return factors;
}

std::vector<Factor8> table_of(const Fp8Operand& operand) {
  std::vector<Factor8> table;
  for (int code = 0; code < 256; ++code) table.push_back(factor_of(operand.values[code], operand.min_exponent));
  return table;
}

}  // namespace

Bounds fp8_error_bound(const Fp8Part& a, const Fp8Part& b, const Fp8Arithmetic& how) {
  const char* const where = "fp8_error_bound";
  require_part(a, where, "the left operand");
  require_part(b, where, "the right operand");
  require_accumulation(how.accumulation, where);
  require(a.depth == b.depth, where, "depths ", a.depth, " and ", b.depth, " do not fit");
  const Index interval = how.accumulation.interval == 0 ? std::max<Index>(a.depth, 1) : how.accumulation.interval;
  const std::vector<Factor8> a_table = table_of(*a.operand), b_table = table_of(*b.operand);
  std::vector<std::vector<Factor8>> b_factors;
  for (Index j = 0; j < b.size; ++j) b_factors.push_back(factors_of(b, b_table, j));
  Bounds bound(a.size, b.size);
  parallel_for(a.size, [&](Index i) {
    const std::vector<Factor8> a_factors = factors_of(a, a_table, i);
    for (Index j = 0; j < b.size; ++j) {
      Reach acc;
      for (Index k = 0; k < a.depth; k += interval) {
        const Reach p =
            reach_of_interval(how.accumulation, {&a_factors[k], &b_factors[j][k], std::min(interval, a.depth - k)});
        promote(acc, p, a.scale(i, k), b.scale(j, k), how.order);
      }
      bound(i, j) = acc.magnitude < 0x1.fffffep127 ? acc.error * upwards : infinity;
    }
  });
  return bound;
}

}  // namespace dsv3
