// SPDX-License-Identifier: MIT
/// \file
/// From the largest magnitude of a group to its scale: the formulas in use, which differ in their last bits.
#pragma once
#include <array>
#include <cstddef>
#include <string_view>

#include "reference/formats/format.hpp"

namespace dsv3 {

enum class ScaleKind : std::uint8_t {
  fp32,          ///< any FP32 number
  ue8m0_ceil,    ///< the power of two at or above it: |q| never exceeds the format's largest
  ocp_floor,     ///< 2^(floor(log2(amax)) - emax) of OCP's microscaling formats: the largest may saturate
  ue8m0_floor,   ///< a mistake in use: the power of two at or below it, so the largest saturate
  ue8m0_nearest  ///< another: the power of two whose logarithm is nearest; above the root of 2 it goes up
};

/// Public code whose FP8 codes and scales we give bit for bit. Their formulas are equal on paper; in FP32 they differ.
enum class Dialect : std::uint8_t {
  deepseek_v3,
  deepgemm,
  deepep,
  deepep_kernel,
  deepseek_v32,
  tile_kernels,
  transformer_engine
};

enum class StoredScale : std::uint8_t { amax_over_largest, amax_times_reciprocal, reciprocal_of_factor };
enum class AppliedScale : std::uint8_t { divide, times_reciprocal, times_largest_over_amax };

/// With L the format's largest value and a = max(amax, least_amax), each operation rounded to FP32:
///   stored   s = a / L,  a * (1 / L)  or  1 / (L / a)
///   applied  q = encode(x / s),  encode(x * (1 / s))  or  encode(x * (L / a))
struct DialectRow {
  std::string_view name;
  StoredScale stored;
  AppliedScale applied;
  float least_amax;
  std::string_view source;  ///< of the public code the formula was read in
};

inline constexpr std::array<DialectRow, 7> dialects{{
    {"deepseek_v3", StoredScale::amax_over_largest, AppliedScale::divide, 1e-4f,
     "DeepSeek-V3 inference/kernel.py act_quant"},
    {"deepgemm", StoredScale::amax_over_largest, AppliedScale::times_reciprocal, 1e-4f,
     "DeepGEMM deep_gemm/utils/math.py per_token_cast_to_fp8"},
    {"deepep", StoredScale::amax_over_largest, AppliedScale::times_largest_over_amax, 1e-4f,
     "DeepEP tests/utils.py per_token_cast_to_fp8"},
    {"deepep_kernel", StoredScale::amax_times_reciprocal, AppliedScale::times_largest_over_amax, 1e-4f,
     "DeepEP csrc/kernels/utils.cuh calculate_fp8_scales"},
    {"deepseek_v32", StoredScale::amax_times_reciprocal, AppliedScale::divide, 1e-4f,
     "DeepSeek-V3.2-Exp inference/kernel.py act_quant"},
    {"tile_kernels", StoredScale::amax_over_largest, AppliedScale::times_largest_over_amax, 1e-4f,
     "TileKernels quant/per_token_cast_to_e5m6_kernel.py; E5M6 is cast as there, see e5m6.hpp"},
    {"transformer_engine", StoredScale::reciprocal_of_factor, AppliedScale::times_largest_over_amax, 0.0f,
     "TransformerEngine common/recipe/recipe_common.cuh compute_scale_from_amax, Float8BlockScaling with epsilon 0"},
}};

constexpr const DialectRow& dialect(Dialect d) { return dialects[static_cast<std::size_t>(d)]; }

/// The two numbers a group is quantised with: q = encode(divide ? x / s : x * factor).
struct GroupScale {
  float s = 1, factor = 1;
  bool divide = false;
};

/// 2^ceil(log2(x)) of a positive finite x, within 2^-126 .. 2^127: an FP32 number that is not a power of two has a
/// fraction, and then its exponent is raised by one. A logarithm in FP32 errs near powers of two; these bits do not.
float power_of_two_at_or_above(float x);

/// 2^floor(log2(x)) of a positive finite x, subnormal or not.
float power_of_two_at_or_below(float x);

/// 2^round(log2(x)) of a positive finite x, within 2^-126 .. 2^127: up where the fraction is above the root of 2, which
/// no FP32 number is.
float nearest_power_of_two(float x);

/// The scale of a group whose largest magnitude is `amax`, finite or infinite, never NaN.
///
/// fp32: the dialect's formulas. ue8m0_ceil: s is rounded up to a power of two and the factor is exactly 1 / s;
/// transformer_engine (its default) rounds the factor down instead. ue8m0_floor and ue8m0_nearest: the same, rounded
/// down (the factor up), or to the nearest power. All dialects give E4M3 the same power of two, for
/// every amax. ocp_floor: s as above, clamped to UE8M0's 2^-127 .. 2^127, in every dialect alike; an all-zero group has
/// s = 2^-127.
/// Special groups: amax = 0 counts as least_amax (transformer_engine: s = factor = 1); where L / amax overflows
/// transformer_engine takes FP32's largest number; amax = infinity: s = NaN, transformer_engine: s = factor = 1.
/// Differs from kernel.py: its ue8m0 scale is exp2(ceil(log2(s))) in FP32 approximations, ours exact.
GroupScale group_scale(float amax, const Format& format, Dialect dialect, ScaleKind kind);

}  // namespace dsv3
