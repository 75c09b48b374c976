// SPDX-License-Identifier: MIT
/// \file
/// The Linear operator y = W x and its two gradients: the three GEMMs of Figure 6, section 3.3.1.
///
/// W is [out, in] as the report prints it; x and y hold one token per row. No biases anywhere in the model.
/// Numerics contract: fp32 multiplies and sums in `real` (order: see gemm.hpp). bf16 rounds both operands to BF16 first
/// and the result of fprop and dgrad once more at the end; wgrad adds to FP32 and is not rounded. fp8: see
/// fp8_linear.hpp. Throws std::invalid_argument with both shapes where they do not fit.
#pragma once
#include "reference/core/context.hpp"
#include "reference/linear/kept.hpp"

namespace dsv3 {

Matrix fprop(const Matrix& W, const Matrix& x, const Precision& precision = Precision::fp32);  ///< F: y = W x, [T, out]
Matrix dgrad(const Matrix& W, const Matrix& dy,
             const Precision& precision = Precision::fp32);  ///< B: dx = W^T dy, [T, in]
/// W: dW += dy x^T, [out, in]
void wgrad(Matrix& dW, const Matrix& dy, const Matrix& x, const Precision& precision = Precision::fp32);

/// The operands of W as they wait for it after B, section 3.2.1's split: where precision is fp8 the codes that W
/// multiplies, a quarter of the bytes, otherwise as they are. `weight` is W or dW, see fp8_linear.hpp. The bits of dW
/// are those of the matrices that they were kept from.
/// @{
Kept keep_x(const Matrix& weight, Matrix x, const Precision& precision);
Kept keep_dy(const Matrix& weight, Matrix dy, const Precision& precision);
void wgrad(Matrix& dW, const Kept& dy, const Kept& x, const Precision& precision);
/// @}

/// A value as the operators exchange it: unchanged (fp32) or rounded to BF16 (bf16, fp8).
Matrix round_to(const Precision& precision, Matrix value);

}  // namespace dsv3
