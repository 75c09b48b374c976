// SPDX-License-Identifier: MIT
#include "reference/formats/scale.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace dsv3 {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// s = 2^e with 1 / s exact, e in UE8M0's range.
GroupScale power_of_two_scale(int e) { return {std::ldexp(1.0f, e), std::ldexp(1.0f, -e), false}; }

GroupScale ocp_scale(float amax, const Format& format) {
  const int exponent = amax == 0 ? -127 : std::ilogb(amax) - format.max_exponent();
  return power_of_two_scale(std::clamp(exponent, -127, 127));
}

/// compute_scale_from_amax: `factor` is what TransformerEngine calls scale, and s its reciprocal.
GroupScale transformer_engine_scale(float amax, float largest, ScaleKind kind) {
  if (amax == 0 || amax == infinity) return {};
  float factor = std::min(largest / amax, std::numeric_limits<float>::max());
  if (kind == ScaleKind::ue8m0_ceil) factor = power_of_two_at_or_below(factor);
  return {1 / factor, factor, false};
}

GroupScale dialect_scale(float amax, float largest, const DialectRow& row) {
  const float s = row.stored == Stored::amax_over_largest ? amax / largest : amax * (1 / largest);
  if (row.applied == Applied::divide) return {s, 1 / s, true};
  return {s, row.applied == Applied::times_reciprocal ? 1 / s : largest / amax, false};
}

}  // namespace

float power_of_two_at_or_above(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t exponent = (bits >> 23) + ((bits & 0x7F'FFFFu) != 0 ? 1 : 0);
  return std::bit_cast<float>(std::clamp(exponent, 1u, 254u) << 23);
}

float power_of_two_at_or_below(float x) { return std::ldexp(1.0f, std::ilogb(x)); }

GroupScale group_scale(float amax, const Format& format, Dialect d, ScaleKind kind) {
  if (d == Dialect::transformer_engine && kind != ScaleKind::ocp_floor)
    return transformer_engine_scale(amax, format.largest, kind);
  if (amax == infinity)
    return {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::quiet_NaN(), false};
  if (kind == ScaleKind::ocp_floor) return ocp_scale(amax, format);
  const DialectRow& row = dialect(d);
  const GroupScale scale = dialect_scale(std::max(amax, row.least_amax), format.largest, row);
  if (kind == ScaleKind::fp32) return scale;
  const float s = power_of_two_at_or_above(scale.s);
  return {s, 1 / s, false};
}

}  // namespace dsv3
