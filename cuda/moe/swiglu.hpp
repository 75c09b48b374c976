// SPDX-License-Identifier: MIT
/// \file
/// SwiGLU, the routing weight and quantisation in one kernel: between the two products of an expert (report Eq. (12),
/// sections 3.3.2 and 3.3.3). Counterparts of reference/moe/swiglu.hpp followed by reference/formats/quantise.hpp.
///
/// x [rows, 2f] has the gate a in its first f columns and b in its last: the output of one product with W_gate above
/// W_up. `weight` has the routing weight g of each row, FP32 on the device; null: all are 1 and nothing is multiplied.
/// f is a multiple of 128, so that no scale belongs to both halves.
///
/// Numerics contract: FP32, every operation rounded once, products from left to right; results are rounded to BF16 and
/// quantised 1x128 as quantise_1x128 does, which a product of the reference does to its operands as well. The sigmoid
/// has the bits of reference/moe/sigmoid.hpp on machines with fused multiply-add and Eigen 3.4. So codes and scales
/// have the bits of the reference's composition. A group with a NaN or an infinity, also of a or b, is NaN as a whole.
/// Differs from the report: there the weight multiplies the expert's output, Eq. (12). W_down is linear, so that it may
/// as well multiply its input, where no pass over memory has to be made for it.
#pragma once
#include "cuda/formats/quantise.hpp"

namespace dsv3::cuda {

/// z = ((a Sigmoid(a)) b) g: codes [rows, f], scales as quantise_1x128's.
/// \throws std::invalid_argument as quantise_1x128, and where x.cols / 2 is no multiple of 128.
void swiglu_quantise(const Bf16Rows& x, const float* weight, const Fp8Output& out, Scale scale,
                     Stream stream = nullptr);

/// From dz [rows, f]: d = dz g, da = ((d b) Sigmoid(a)) (1 + a (1 - Sigmoid(a))), db = (d a) Sigmoid(a), side by side
/// as a and b are: codes [rows, 2f]. With d_weight not null, of each row also dg = sum over dz ((a Sigmoid(a)) b) in
/// FP32: lane l of 32 adds the columns 256 i + 8 l + j, with ascending i, then j, each product fused with its sum, from
/// 0; then neighbouring lanes are added, pairs of them, and so on. \throws std::invalid_argument as swiglu_quantise,
/// and where dz is not [rows, f].
void swiglu_backward_quantise(const Bf16Rows& x, const float* weight, const Bf16Rows& dz, const Fp8Output& dx,
                              float* d_weight, Scale scale, Stream stream = nullptr);

}  // namespace dsv3::cuda
