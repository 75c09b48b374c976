// SPDX-License-Identifier: MIT
/// \file
/// The three orientations of a matrix product. The only products of matrices in the project are here.
///
/// Numerics contract: the contracted dimension is cut in blocks of `block_depth`. In a block, each element is a chain
/// from 0 in ascending k of sum = fma(a_ik, b_kj, sum) (two roundings instead of one where the machine has no FMA);
/// then out_ij = that sum for the first block of multiply_*, out_ij + that sum otherwise. So the bits of an element
/// depend on its row of a, its column of b and nothing else: not on the other rows of the batch, not on the number of
/// threads. `out` must not overlap an operand.
#pragma once
#include "reference/core/matrix.hpp"

namespace dsv3 {

void multiply_nt(View out, const ConstView& a, const ConstView& b);      ///< out  = a b^T   [m,k] [n,k] -> [m,n]
void multiply_nn(View out, const ConstView& a, const ConstView& b);      ///< out  = a b     [m,k] [k,n] -> [m,n]
void add_multiply_tn(View out, const ConstView& a, const ConstView& b);  ///< out += a^T b   [k,m] [k,n] -> [m,n]
void add_multiply_nn(View out, const ConstView& a, const ConstView& b);  ///< out += a b     [m,k] [k,n] -> [m,n]

/// The most that a product which sums over `depth` terms keeps on the stack of each thread it runs on.
std::size_t multiply_stack_bytes(Index depth);

}  // namespace dsv3
