// SPDX-License-Identifier: MIT
/// \file
/// Products of BF16 matrices on Hopper: what the recipe keeps out of FP8 (report section 3.3.1), the counterpart of
/// reference/linear/gemm.hpp.
#pragma once
#include <cstdint>

#include "cuda/core/device.hpp"
#include "cuda/formats/quantise.hpp"

namespace dsv3::cuda {

/// out = a b^T: a [M, K], b [N, K], out [M, N], all BF16, row after row each `stride` values. N and out_stride are
/// even.
struct Bf16Gemm {
  Bf16Rows a, b;
  std::uint16_t* out;
  std::int64_t out_stride;
};

/// Numerics contract. The tensor core adds 16 products at a time, in ascending order, to an FP32 register that begins
/// as 0: a product is exact; it, the others and the register are aligned to the largest of them, which keeps at least
/// 25 bits (MMA-Sim, arXiv:2511.10909), cut, added exactly, and the sum is cut to FP32. So a step errs by less than
/// (17 + 2) 2^-24 S and the sum by ceil(K / 16) times that, S being the sum of the products' magnitudes. Rounded to
/// BF16, to nearest even. The same bits in every run; a row's depend on no other row. NaN and infinities as in FP32.
/// \throws std::invalid_argument where sizes are negative or do not fit, N or out_stride is odd, rows overlap, or an
/// address or the bytes between rows are no multiple of 16 (out: of 4).
void gemm(const Bf16Gemm& product, Stream stream = nullptr);

}  // namespace dsv3::cuda
