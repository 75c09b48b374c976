// SPDX-License-Identifier: MIT
/// \file
/// The peer of our products: cuBLASLt, with the algorithm that is the fastest of those it proposes.
#pragma once
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <vector>

#include "cuda/bench/timing.hpp"

namespace dsv3::cuda::bench {

/// out [M, N] = a [M, K] b [N, K]^T, BF16 (or FP32, then added to) from rows without gaps.
struct LtProduct {
  /// What a and b hold, and which scales go with them (fp8_gemm.hpp has the layouts, which are cuBLASLt's as well: of
  /// tiles the stride is M, of blocks a multiple of 4).
  enum class Kind {
    bf16,
    fp8_unscaled,    ///< one scale for each matrix, 1; sums in the tensor core as long as it likes
    fp8_blocks,      ///< a in tiles of 1x128, b in blocks of 128x128
    fp8_tiles_added  ///< both in tiles of 1x128; out is FP32 and out += a b^T
  };
  Kind kind;
  int M, N, K;
  const void *a, *b;
  const float *a_scales, *b_scales;
  void* out;
};

/// cuBLASLt has no algorithm for a product, or none that runs.
struct NotSupported : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// One product, planned: operator() launches it.
class LtMatmul {
 public:
  /// \throws NotSupported, with cuBLASLt's status.
  explicit LtMatmul(const LtProduct& product);
  ~LtMatmul();
  LtMatmul(LtMatmul&&) noexcept;

  /// Times up to eight algorithms in turns and keeps the one with the least median. \throws NotSupported
  void choose(StopWatch& watch);
  /// The algorithm that another product of this shape has chosen.
  void choose_as(const LtMatmul& other);
  void operator()();
  int num_algorithms() const;

 private:
  struct Plan;
  std::unique_ptr<Plan> plan_;
};

/// "13.1.0" or the like.
const char* cublaslt_version();

}  // namespace dsv3::cuda::bench
