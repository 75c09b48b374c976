// SPDX-License-Identifier: MIT
/// \file
/// How far a product of FP8 codes can lie from the exact one, element by element. Derived in docs/bounds/gemm.md.
#pragma once
#include "reference/linear/fp8_gemm.hpp"

namespace dsv3 {

using Bounds = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// |out(i, j) - sum_k a(i, k) b(j, k)| <= bound(i, j), the sum being exact over the values code times scale, for
/// out = a b^T in that arithmetic; Wgrad adds half an ulp of its result. Infinite where a code or a scale is not finite
/// or the result may overflow. Parts: whole(operand, transposed), as the directions have them.
/// \throws std::invalid_argument where parts are not inside their operands, or these are not what fp8_gemm.hpp takes.
Bounds fp8_error_bound(const Fp8Part& a, const Fp8Part& b, const Fp8Arithmetic& how);

}  // namespace dsv3
