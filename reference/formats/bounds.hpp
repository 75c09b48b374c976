// SPDX-License-Identifier: MIT
/// \file
/// How far casts and quantisation can be from the value they stand for: derived bounds of each element, see
/// docs/bounds/formats.md. All arithmetic is in double, whose own rounding (2^-53) is inside the margins.
#pragma once
#include "reference/formats/quantise.hpp"

namespace dsv3 {

/// |decode(encode(x)) - x| of a saturating cast of finite x: half a step of the format at x (a whole one unless nearest
/// even), or |x| - largest beyond the largest value. Formats with a sign.
double cast_bound(FormatId id, double x, Rounding rounding = Rounding::nearest_even);

/// |dequantise(quantise(x)) - x| of one finite element whose group got the scale s (its group may hold anything
/// finite). Infinite where the dequantised value may overflow FP32: |x| within a step of FP32's largest.
double quantise_bound(double x, double s, const Quantisation& how);

/// |dequantise(requantise(q)) - dequantise(q)| of one element: `x` is dequantise(q)'s, in a group of format `from` and
/// scale s_from, and its new group got the scale s. Zero where both scales are powers of two, x stays normal under s
/// and `how` has at least the fraction bits of `from`. Against the value that was quantised first, add its
/// quantise_bound.
double requantise_bound(double x, FormatId from, double s_from, double s, const Quantisation& how);

}  // namespace dsv3
