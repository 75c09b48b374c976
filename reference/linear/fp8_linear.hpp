// SPDX-License-Identifier: MIT
/// \file
/// The three products of a Linear in FP8, Figure 6 and Figure 7 of section 3.3.
///
///     F: y  = Q(x) Q(W)^T        x in tiles of 1x128 along its channels, W in blocks of 128x128
///     B: dx = Q(dy) Q(W)         dy in tiles of 1x128 along its channels, the same codes of W
///     W: dW += Q(dy)^T Q(Q(x))   both in tiles of 128x1 along the tokens
///
/// Numerics contract: x and dy are rounded to BF16, W is the FP32 master weight; all are quantised as `recipe` says
/// (dialect deepseek_v3: amax clamped to 1e-4, s = amax / 448, q = x / s). W quantises x twice: to the codes that F
/// read (1x128), and these, dequantised, to 128x1, but once where x comes from kept codes (x_is_kept); dy, which B has
/// in BF16, once. Sums follow recipe.arithmetic; y and dx are rounded to BF16; dW adds in FP32 and is not rounded.
/// Tiles and blocks begin at the first row and column of what is given: for an expert, of its own tokens. Ragged edges
/// are as if padded with zeros. With one scale per tensor, groups are the whole operand. Differs from the report:
/// whether dy is quantised for W from BF16 or from the codes of B is not said.
#pragma once
#include "reference/core/matrix.hpp"
#include "reference/linear/precision.hpp"

namespace dsv3 {

/// Shapes as in linear.hpp, which checks them.
Matrix fprop_in_fp8(const Matrix& W, const Matrix& x, const Fp8Recipe& recipe);
Matrix dgrad_in_fp8(const Matrix& W, const Matrix& dy, const Fp8Recipe& recipe);
void wgrad_in_fp8(Matrix& dW, const Quantised& dy, const Quantised& x, const Fp8Recipe& recipe);

/// What W reads, of the Linear of `weight` (or of its gradient: whose history of amaxes, where scaling is delayed).
Quantised wgrad_x(const Matrix& weight, Matrix x, const Fp8Recipe& recipe);    ///< Q(Q(x)), or Q(x) if kept
Quantised wgrad_dy(const Matrix& weight, Matrix dy, const Fp8Recipe& recipe);  ///< Q(dy)

}  // namespace dsv3
