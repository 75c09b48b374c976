// SPDX-License-Identifier: MIT
/// \file
/// Which values a Linear reads and writes: the precision map of section 3.3.1 as one value.
#pragma once
#include "reference/formats/quantise.hpp"
#include "reference/linear/fp8_gemm.hpp"

namespace dsv3 {

class AmaxHistories;
class Fp8Products;

/// Where the scales of a Linear's operands come from. What is kept for backward (Fp8Recipe::keep_in_fp8) stays in tiles
/// of 1x128 in all three.
enum class Scaling {
  fine_grained,  ///< the group itself: tiles of 1x128 and 128x1, blocks of 128x128 (section 3.3.2)
  per_tensor,    ///< one scale, from the tensor itself
  delayed        ///< one scale, from the tensor's amaxes in earlier steps: what section 3.3.2 argues against
};

/// How the three products of a Linear run in FP8. The default is the report's; the rest is there to be compared with.
struct Fp8Recipe {
  FormatId forward = FormatId::e4m3;   ///< of activations and weights
  FormatId gradient = FormatId::e4m3;  ///< of output gradients; hybrid recipes take e5m2
  Scaling scaling = Scaling::fine_grained;
  ScaleKind scale = ScaleKind::fp32;  ///< of what section 3.3.3 does not ask powers of two for
  Groups dgrad_groups = tile_1x128;   ///< of dY in Dgrad; block_128x128 is the experiment of appendix B.2
  bool keep_in_fp8 = true;            ///< inputs of SwiGLU in FP8 and of W_O in E5M6 from F to B (section 3.3.3)
  Fp8Arithmetic arithmetic = {};
  bool x_is_kept = false;                 ///< W reads x from codes that were kept: it is quantised once, to 128x1
  const Fp8Products* products = nullptr;  ///< who computes them; null: this CPU, as `arithmetic` says
  AmaxHistories* histories = nullptr;     ///< of this step of training, for Scaling::delayed; without, it is per_tensor
};

/// fp32: `real` throughout. bf16: both operands of every GEMM, its result (but not a weight gradient) and the residual
/// stream are rounded to BF16, to nearest even; sums run in FP32. fp8: as bf16, but the three products of every Linear
/// (not of the output head, the gate, attention and embedding) are FP8's, see fp8_linear.hpp.
struct Precision {
  enum Kind { fp32, bf16, fp8 };
  Kind kind = fp32;
  Fp8Recipe recipe = {};

  constexpr Precision(Kind k = fp32) : kind(k) {}
  constexpr Precision(const Fp8Recipe& r) : kind(fp8), recipe(r) {}
  friend constexpr bool operator==(const Precision& p, Kind k) { return p.kind == k; }

  bool keeps_fp8() const { return kind == fp8 && recipe.keep_in_fp8; }
  /// The same with powers of two as scales.
  Precision with_powers_of_two() const {
    Precision other = *this;
    other.recipe.scale = ScaleKind::ue8m0_ceil;
    return other;
  }
  Precision with_kept_x() const {
    Precision other = *this;
    other.recipe.x_is_kept = kind == fp8 && recipe.keep_in_fp8;
    return other;
  }
};

}  // namespace dsv3
