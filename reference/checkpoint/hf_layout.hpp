// SPDX-License-Identifier: MIT
/// \file
/// How Hugging Face's tensors hold two of the report's matrices each: rows of both, head by head.
///
///     q_b_proj             per head [W_UQ d_h | W_QR d_h^R]    (q_proj, where queries are not compressed)
///     kv_a_proj_with_mqa   one "head" [W_DKV d_c | W_KR d_h^R]
///     kv_b_proj            per head [W_UK d_h | W_UV d_v]
///
/// so one pair of functions does them all. Widths follow from the shapes.
#pragma once
#include "reference/core/matrix.hpp"

namespace dsv3 {

/// [heads * (a + b), n] from [heads * a, n] and [heads * b, n].
/// Throws std::invalid_argument where rows are no multiple of the heads or columns differ.
Matrix join_heads(const Matrix& first, const Matrix& second, Index heads);

/// The inverse, into matrices that have their shapes already.
void split_heads(const Matrix& joint, Index heads, Matrix& first, Matrix& second);

}  // namespace dsv3
