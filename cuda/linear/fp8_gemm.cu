// SPDX-License-Identifier: MIT
//
// Which rung of the ladder computes a product; each says in its own file what it must move and how it does.
#include "cuda/linear/fp8_checks.hpp"
#include "cuda/linear/fp8_gemm_rungs.hpp"

namespace dsv3::cuda {

void fp8_gemm(const Fp8Gemm& gemm, Rung rung, Stream stream) {
  require_gemm(gemm, "fp8_gemm");
  if (gemm.M == 0 || gemm.N == 0) return;
  if (gemm.K == 0) return fp8_gemm_naive(gemm, stream);  // zeros: a matrix without columns has no tiles to copy
  switch (rung) {
    case Rung::naive:
      return fp8_gemm_naive(gemm, stream);
    case Rung::tiles:
      return fp8_gemm_tiles(gemm, stream);
    case Rung::wgmma:
      return fp8_gemm_wgmma(gemm, stream);
    case Rung::ring:
      return fp8_gemm_ring(gemm, stream);
    case Rung::persistent:
      return fp8_gemm_persistent(gemm, stream);
  }
}

}  // namespace dsv3::cuda
