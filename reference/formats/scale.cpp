// SPDX-License-Identifier: MIT
#include "reference/formats/scale.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace dsv3 {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// 2^e for -127 <= e <= 127, the lowest of which is subnormal.
float power_of_two(int e) {
  return std::bit_cast<float>(e == -127 ? 1u << 22 : static_cast<std::uint32_t>(e + 127) << 23);
}

/// The exponent's bits count 0 and subnormals as 2^-127, which is clamped all the same.
GroupScale ocp_scale(float amax, const Format& format) {
  const int floor_log2 = static_cast<int>(std::bit_cast<std::uint32_t>(amax) >> 23) - 127;
  const int e = std::clamp(floor_log2 - format.max_exponent(), -127, 127);
  return {power_of_two(e), power_of_two(-e), false};
}

/// s as a power of two; `x` may be its reciprocal, which is rounded the other way.
float as_power_of_two(float x, ScaleKind kind, bool reciprocal) {
  if (kind == ScaleKind::ue8m0_nearest) return nearest_power_of_two(x);
  return (kind == ScaleKind::ue8m0_ceil) != reciprocal ? power_of_two_at_or_above(x) : power_of_two_at_or_below(x);
}

/// compute_scale_from_amax: `factor` is what TransformerEngine calls scale, and s its reciprocal.
GroupScale transformer_engine_scale(float amax, float largest, ScaleKind kind) {
  if (amax == 0 || amax == infinity) return {};
  float factor = std::min(largest / amax, std::numeric_limits<float>::max());
  if (kind != ScaleKind::fp32) factor = as_power_of_two(factor, kind, true);
  return {1 / factor, factor, false};
}

GroupScale dialect_scale(float amax, float largest, const DialectRow& row) {
  const float s = row.stored == StoredScale::amax_over_largest ? amax / largest : amax * (1 / largest);
  if (row.applied == AppliedScale::divide) return {s, 1 / s, true};
  return {s, row.applied == AppliedScale::times_reciprocal ? 1 / s : largest / amax, false};
}

}  // namespace

float power_of_two_at_or_above(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t exponent = (bits >> 23) + ((bits & 0x7F'FFFFu) != 0 ? 1 : 0);
  return std::bit_cast<float>(std::clamp(exponent, 1u, 254u) << 23);
}

float power_of_two_at_or_below(float x) { return std::ldexp(1.0f, std::ilogb(x)); }

float nearest_power_of_two(float x) {
  constexpr std::uint32_t root_2 = 0x3504F3u;  // the fraction of the last FP32 number below it
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t exponent = (bits >> 23) + ((bits & 0x7F'FFFFu) > root_2 ? 1 : 0);
  return std::bit_cast<float>(std::clamp(exponent, 1u, 254u) << 23);
}

GroupScale group_scale(float amax, const Format& format, Dialect d, ScaleKind kind) {
  if (d == Dialect::transformer_engine && kind != ScaleKind::ocp_floor)
    return transformer_engine_scale(amax, format.largest, kind);
  if (amax == infinity)
    return {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::quiet_NaN(), false};
  if (kind == ScaleKind::ocp_floor) return ocp_scale(amax, format);
  const DialectRow& row = dialect(d);
  const GroupScale scale = dialect_scale(std::max(amax, row.least_amax), format.largest, row);
  if (kind == ScaleKind::fp32) return scale;
  const float s = as_power_of_two(scale.s, kind, false);
  return {s, 1 / s, false};
}

}  // namespace dsv3
