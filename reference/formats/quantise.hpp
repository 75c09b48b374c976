// SPDX-License-Identifier: MIT
/// \file
/// Fine-grained quantisation (report section 3.3.2): a scale for each group, from the group itself.
#pragma once
#include "reference/formats/cast.hpp"
#include "reference/formats/quantised.hpp"
#include "reference/formats/scale.hpp"

namespace dsv3 {

/// How a matrix is quantised. The default is what DeepSeek-V3's act_quant does to activations.
struct Quantisation {
  FormatId format = FormatId::e4m3;
  Groups groups = tile_1x128;
  ScaleKind scale = ScaleKind::fp32;
  Dialect dialect = Dialect::deepseek_v3;
  Rounding rounding = Rounding::nearest_even;
  std::uint64_t seed = 0;  ///< of stochastic rounding, by the element's place in row-major order
};

/// MX blocks of 32 in a row: E4M3, E5M2, E3M2, E2M3, E2M1 or INT8 elements under a power-of-two scale (OCP
/// Microscaling Formats 1.0, section 6.3).
constexpr Quantisation mx(FormatId element) {
  return {.format = element, .groups = block_mx, .scale = ScaleKind::ocp_floor};
}

/// Codes and scales of x [rows, cols]. Formats of at most 8 bits with positive and negative numbers.
///
/// Per group: amax = max |x|; the scale by group_scale; each code by one encode, saturating, of x / s or x * factor in
/// FP32. At the edges a group holds what is left of the matrix, as if padded with zeros. Order does not matter: every
/// number depends on its own group alone, for any number of threads.
/// No rows or columns: no codes and no scales. All-zero groups: codes 0 (or -0) and the scale of group_scale. A group
/// with a NaN or an infinity has no scale: s = NaN and all codes are those of NaN, so that it is NaN as a whole (INT8
/// and the MX formats below 8 bits through s alone). In transformer_engine's own dialect NaN does not count for amax
/// and an infinity gives s = 1: such an element is NaN or saturated, its neighbours are not lost.
/// Throws std::invalid_argument for groups smaller than 1x1 and for formats it does not fit.
Quantised quantise(const FloatView& x, const Quantisation& how = {});
Quantised16 quantise16(const FloatView& x, const Quantisation& how);  ///< the same for formats of up to 16 bits

/// The scales alone.
Scales scales_of(const FloatView& x, const Quantisation& how = {});

/// value(q) * s, rounded to FP32 once; exact with power-of-two scales unless the product is an FP32 subnormal.
FloatMatrix dequantise(const Quantised& x);
FloatMatrix dequantise(const Quantised16& x);

/// The transposed matrix: codes, scales and groups change places, no number changes.
Quantised transposed(const Quantised& x);

/// Other groups, through the dequantised values: quantise(dequantise(x), how). 1x128 -> 128x1 is what Wgrad needs of an
/// activation that was stored for Fprop (section 3.2). With power-of-two scales on both sides a code keeps its
/// fraction, exactly, unless its new value falls below the least normal number.
Quantised requantise(const Quantised& x, const Quantisation& how);

}  // namespace dsv3
