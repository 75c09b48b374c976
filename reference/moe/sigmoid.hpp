// SPDX-License-Identifier: MIT
/// \file
/// e^x and Sigmoid(x) whose bits depend on x alone.
///
/// An array expression of Eigen sends the elements before the first aligned address and after the last whole packet
/// through another exp than the rest. Two equal logits could then get two scores, and a tie would not be a tie.
///
/// Numerics contract: every element takes the same packet instructions, wherever it stands; relative error below 4
/// epsilon. Eigen's exp clamps its argument to about [-88, 88] (float) or [-709, 709] (double), so far out the values
/// stay at those of the limits: finite, positive, never NaN for a finite x.
#pragma once
#include "reference/core/matrix.hpp"

namespace dsv3 {

void exponential(const real* x, real* out, Index n);  ///< out = e^x; x and out may be the same
void sigmoid(const real* x, real* out, Index n);      ///< out = 1 / (1 + e^-x); x and out may be the same

}  // namespace dsv3
