// SPDX-License-Identifier: MIT
/// \file
/// The residual sum, RMSNorm and quantisation in one pass over memory: what stands between two components of a block.
/// Counterparts of reference/norm/rms_norm.hpp and reference/formats/quantise.hpp.
#pragma once
#include "cuda/formats/quantise.hpp"

namespace dsv3::cuda {

/// Rows of BF16 to write: address and bytes of the stride multiples of 16.
struct Bf16Output {
  std::uint16_t* data;
  std::int64_t stride;
};

/// r = x + residual, rstd = 1 / sqrt(mean(r^2) + eps), y = (r rstd) g for each row of x [rows, d].
///
/// Numerics contract: r is rounded to BF16 (once, from FP32) and what is normalised is the rounded r, which backward
/// will read. The rest in FP32, every operation rounded once. Sum of squares: thread t of 128 adds those of the columns
/// 1024 i + 8 t + j with ascending i, then j, each square fused with its sum, from 0; in each 32 threads neighbours are
/// added, then pairs of them, and so on; then the four sums in order. y is rounded to BF16 once and then quantised as
/// quantise_1x128 does.
/// The reference sums in another order: its rstd differs by no more than both sums' roundings, which are fewer than
/// d / 2 + 3 and d / 256 + 12 units of 2^-24, relative.
/// Differs from the report: see reference/norm/rms_norm.hpp.
struct RmsNormQuantise {
  Bf16Rows x;         ///< [rows, d], d a multiple of 8 in 8 .. 8192
  Bf16Rows residual;  ///< [rows, d]; without data: r = x
  const float* gain;  ///< [d], FP32; address a multiple of 16
  float eps;
  Bf16Output sum;   ///< r; without data: not written. May be the memory of x or residual
  Bf16Output y;     ///< without data: not written
  Fp8Output codes;  ///< of y: as quantise_1x128's
  float* rstd;      ///< [rows], for backward; null: not written
};

/// \throws std::invalid_argument where sizes, strides or addresses are not as said here and for quantise_1x128.
void rms_norm_quantise(const RmsNormQuantise& what, Scale scale, Stream stream = nullptr);

}  // namespace dsv3::cuda
