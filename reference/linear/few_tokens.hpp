// SPDX-License-Identifier: MIT
/// \file
/// Blocks of products of a weight and few tokens, as the experts have them: the weight is read or written once, in the
/// order of memory, and not packed. Each is what gemm.cpp's multiply_tile computes, to the bit.
#pragma once
#include "reference/core/matrix.hpp"
#include "reference/linear/panel_kernel.hpp"

namespace dsv3 {

inline constexpr Index few_tokens = panel_cols;

/// y = or += x W^T: y^T = W x^T with the tokens side by side, in one packet or two.
template <int packets>
void multiply_few_nt(View y, const Factor& x, const Factor& W, Index depth, Sums sums);

/// dx = or += dy W: all columns of some rows of W, then the next rows. dx has whole panels.
void multiply_few_nn(View dx, const Factor& dy, const Factor& W, Index depth, Sums sums);

/// dW = or += dy^T x: all columns of some rows of dW, then the next rows. dW has whole panels.
void multiply_few_tn(View dW, const Factor& dy, const Factor& x, Index depth, Sums sums);

}  // namespace dsv3
