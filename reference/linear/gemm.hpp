// SPDX-License-Identifier: MIT
/// \file
/// The three orientations of a matrix product. The only file of the project that calls Eigen's product kernels is
/// gemm.cpp: they are most of the compile time.
///
/// Numerics contract: sums over the contracted dimension run in `real`, in an order that depends on the shapes alone,
/// so the bits are the same for any number of threads. `out` must not overlap an operand.
#pragma once
#include "reference/core/matrix.hpp"

namespace dsv3 {

void multiply_nt(View out, const ConstView& a, const ConstView& b);      ///< out  = a b^T   [m,k] [n,k] -> [m,n]
void multiply_nn(View out, const ConstView& a, const ConstView& b);      ///< out  = a b     [m,k] [k,n] -> [m,n]
void add_multiply_tn(View out, const ConstView& a, const ConstView& b);  ///< out += a^T b   [k,m] [k,n] -> [m,n]
void add_multiply_nn(View out, const ConstView& a, const ConstView& b);  ///< out += a b     [m,k] [k,n] -> [m,n]

}  // namespace dsv3
