// SPDX-License-Identifier: MIT
/// \file
/// The rungs of fp8_gemm: arguments that it has checked, none of M, N and K zero for ring and persistent.
#pragma once
#include "cuda/linear/fp8_gemm.hpp"

namespace dsv3::cuda {

void fp8_gemm_naive(const Fp8Gemm& gemm, Stream stream);
void fp8_gemm_tiles(const Fp8Gemm& gemm, Stream stream);
void fp8_gemm_wgmma(const Fp8Gemm& gemm, Stream stream);
void fp8_gemm_ring(const Fp8Gemm& gemm, Stream stream);
void fp8_gemm_persistent(const Fp8Gemm& gemm, Stream stream);

}  // namespace dsv3::cuda
