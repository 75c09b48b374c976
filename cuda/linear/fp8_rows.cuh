// SPDX-License-Identifier: MIT
/// \file
/// Rows of codes as threads read them, where no copy engine cuts off what lies beyond the matrix.
#pragma once
#include "cuda/core/kernel.cuh"
#include "cuda/linear/fp8_gemm.hpp"

namespace dsv3::cuda {

inline constexpr int piece_codes = 16;  ///< what a thread reads at once
using Piece = Vec<std::uint8_t, piece_codes>;

/// Codes k .. k + 15 of a row, k a multiple of 16: zeros (which change no sum) from row `rows` and from code K on. What
/// lies between K and the stride is not read: it can be NaN, and after the last row it need not be there.
DSV3_DEVICE Piece piece_of(const Fp8Rows& x, int row, int rows, int k, int K) {
  Piece piece{};
  if (row >= rows) return piece;
  const std::uint8_t* const from = x.codes + row * x.stride + k;
  if (k + piece_codes <= K) return load<piece_codes>(from);
#pragma unroll
  for (int i = 0; i < piece_codes; ++i)
    if (k + i < K) piece.at[i] = from[i];
  return piece;
}

}  // namespace dsv3::cuda
