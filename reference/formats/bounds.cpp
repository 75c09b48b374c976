// SPDX-License-Identifier: MIT
#include "reference/formats/bounds.hpp"

#include <cmath>
#include <limits>

#include "reference/core/require.hpp"

namespace dsv3 {
namespace {

constexpr double u = 0x1p-24;           // one FP32 operation, relative
constexpr double underflow = 0x1p-150;  // absolute, where its result is subnormal

/// The distance of neighbouring values at |y| <= largest.
double step_at(const Format& f, double y) {
  const int exponent = y == 0 ? f.min_exponent() : std::max(std::ilogb(y), f.min_exponent());
  return std::ldexp(1.0, exponent - f.fraction_bits);
}

double step_fraction(Rounding rounding) { return rounding == Rounding::nearest_even ? 0.5 : 1.0; }

/// Of any value up to y: cast_bound made monotone.
double cast_bound_up_to(const Format& f, double y, Rounding rounding) {
  const double largest = double{f.largest};
  return std::max(step_fraction(rounding) * step_at(f, std::min(y, largest)), y - largest);
}

bool power_of_two(double s) {
  int exponent;
  return std::frexp(s, &exponent) == 0.5;
}

/// FP32 operations between x / s and what is encoded, s's own included.
int num_roundings(const Quantisation& how) {
  if (how.scale != ScaleKind::fp32) return 0;
  const DialectRow& row = dialect(how.dialect);
  if (row.applied == AppliedScale::divide) return 1;
  if (row.applied == AppliedScale::times_reciprocal || row.stored == StoredScale::reciprocal_of_factor) return 2;
  return row.stored == StoredScale::amax_over_largest ? 3 : 4;
}

}  // namespace

double cast_bound(FormatId id, double x, Rounding rounding) {
  const Format& f = format(id);
  require(f.sign != Sign::none, "cast_bound", f.name, " has no zero");
  const double size = std::abs(x), largest = double{f.largest};
  return size >= largest ? size - largest : step_fraction(rounding) * step_at(f, size);
}

double quantise_bound(double x, double s, const Quantisation& how) {
  const int k = num_roundings(how);
  const double size = std::abs(x);
  // TileKernels' E5M6 cast takes one of the two neighbours, not always the nearer one, and does not saturate.
  const bool either = how.dialect == Dialect::tile_kernels && how.format == FormatId::e5m6;
  const Rounding rounding = either ? Rounding::toward_zero : how.rounding;
  const double eps = k * (u + underflow * (s + 1 / s)) * (1 + 0x1p-20);  // (1 + u)^k - 1 and the ends of FP32
  const double code = s * cast_bound_up_to(format(how.format), size / s * (1 + eps), rounding);
  if (either && size / s * (1 + eps) >= 65280) return std::numeric_limits<double>::infinity();
  const double product = size * (1 + eps) + code;
  const bool exact = power_of_two(s) && s * step_at(format(how.format), 0) >= 0x1p-149;
  const double back = exact ? 0 : u * product + underflow;
  const double bound = code + eps * size + s * underflow + back;
  return size + bound <= double{std::numeric_limits<float>::max()} ? bound : std::numeric_limits<double>::infinity();
}

double requantise_bound(double x, FormatId from, double s_from, double s, const Quantisation& how) {
  const Format &source = format(from), &target = format(how.format);
  const double bound = quantise_bound(x, s, how), size = std::abs(x) / s;
  if (!power_of_two(s_from) || !power_of_two(s) || source.fraction_bits > target.fraction_bits) return bound;
  if (size > double{target.largest} || std::isinf(bound)) return bound;
  const bool on_grid = s_from * step_at(source, 0) >= s * step_at(target, 0);
  return size >= std::ldexp(1.0, target.min_exponent()) || on_grid ? 0 : bound;
}

}  // namespace dsv3
