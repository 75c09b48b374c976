// SPDX-License-Identifier: MIT
/// \file
/// Products of matrices of eight-bit codes with group scales (report sections 3.3.2 and 3.3.3, Figure 7).
///
/// Numerics contract, the same in the float and the double library. The contracted dimension is cut from its start in
/// promotion intervals of N_C = `accumulation.interval` products (the last may be short; 0: one interval). Of each, the
/// sum of products p without scales is what `accumulation` says, from 0. Then, in FP32 and from acc = 0, in ascending
/// order, with s_a and s_b the scales of the interval:
///   ScaleOrder::together    s = s_a s_b, acc = fma(p, s, acc)          (DeepGEMM)
///   ScaleOrder::in_turn     acc = acc + (p s_a) s_b, three roundings   (DeepSeek-V3's kernel.py: dot * a_s * b_s)
/// The result is acc (out = acc), or out = out + acc. A fused multiply-add is rounded twice where the machine has none.
/// The scales must be constant in an interval; where none is promoted, over the whole dimension. With `carries`, a
/// kernel that forgot to promote is imitated: an interval runs over several scales, and where a new one begins the
/// sum so far is multiplied by the old s_a s_b and divided by the new one in FP32; scales are then from 2^-60 to 2^60,
/// and Sum::exact is none of the sums. The bits of an element
/// depend on its row of a and its column of b and nothing else: not on the other rows of the batch, not on the number
/// of threads. `out` must not overlap an operand.
///
/// fp32_sums is the fast path. A chain is exact, and so equal to exact_sums, if its products are multiples of 2^g and
/// their magnitudes add up to less than 2^(g+24). For E4M3 g is at least -18; where all codes are 0 or at least 1 in
/// magnitude, -6: then any 128 products whose magnitudes are below 2^11 on average are summed exactly.
///
/// Special values: see Accumulation. A NaN or infinite scale acts as in FP32. A depth of 0 gives out = 0 or out + 0.
#pragma once
#include <Eigen/Core>
#include <span>
#include <vector>

#include "reference/linear/fp8_operand.hpp"
#include "reference/linear/tensor_core.hpp"

namespace dsv3 {

using FloatOut = Eigen::Ref<Scales, 0, Eigen::OuterStride<>>;  ///< a matrix of FP32, or a block of one

enum class ScaleOrder { together, in_turn };

struct Fp8Arithmetic {
  Accumulation accumulation = fp32_sums;
  ScaleOrder order = ScaleOrder::together;
  bool carries = false;  ///< a mistake to be recognised: sums go on where scales change
};

/// Y = X W^T: x [T, K] with groups along K, W [N, K], y [T, N].
void fp8_fprop(FloatOut y, const Fp8Operand& x, const Fp8Operand& W, const Fp8Arithmetic& how = {});
/// dX = dY W: dy [T, N] with groups along N, W [N, K], dx [T, K].
void fp8_dgrad(FloatOut dx, const Fp8Operand& dy, const Fp8Operand& W, const Fp8Arithmetic& how = {});
/// dW += dY^T X: dy [T, N] and x [T, K] with groups along the tokens T, dW [N, K].
void fp8_wgrad(FloatOut dW, const Fp8Operand& dy, const Fp8Operand& x, const Fp8Arithmetic& how = {});

/// The same for experts: rows begin[e] .. begin[e+1] - 1 of x, y, dx and dy are the tokens of expert e, whose weight is
/// W[e]. begin has one more entry than there are experts, from 0 to the number of rows, not falling. Each expert gets
/// the bits of the dense product of its rows; in Wgrad its intervals start with its first token, and the scales of dy
/// and x must be constant in each of them (its tokens padded, or groups that begin with it).
void fp8_fprop_grouped(FloatOut y, const Fp8Operand& x, std::span<const Index> begin, std::span<const Fp8Operand> W,
                       const Fp8Arithmetic& how = {});
void fp8_dgrad_grouped(FloatOut dx, const Fp8Operand& dy, std::span<const Index> begin, std::span<const Fp8Operand> W,
                       const Fp8Arithmetic& how = {});
void fp8_wgrad_grouped(std::span<Scales> dW, const Fp8Operand& dy, const Fp8Operand& x, std::span<const Index> begin,
                       const Fp8Arithmetic& how = {});

}  // namespace dsv3
