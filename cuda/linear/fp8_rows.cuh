// SPDX-License-Identifier: MIT
/// \file
/// Rows of codes as threads read them, where no copy engine cuts off what lies beyond the matrix.
#pragma once
#include "cuda/core/kernel.cuh"
#include "cuda/linear/fp8_gemm.hpp"

namespace dsv3::cuda {

inline constexpr int piece_codes = 16;  ///< what a thread reads at once
using Piece = Vec<std::uint8_t, piece_codes>;

/// Codes k .. k + 15 of a row, k a multiple of 16, all of them codes of the matrix; zeros from row `rows` on.
DSV3_DEVICE Piece whole_piece(const Fp8Rows& x, int row, int rows, int k) {
  return row < rows ? load<piece_codes>(x.codes + row * x.stride + k) : Piece{};
}

/// The same where K may end before k + 15: zeros, which change no sum, from there on. What lies between K and the
/// stride is not read: it can be NaN, and after the last row it need not be there.
DSV3_DEVICE Piece piece_at_edge(const Fp8Rows& x, int row, int rows, int k, int K) {
  if (k + piece_codes <= K) return whole_piece(x, row, rows, k);
  Piece piece{};
  DSV3_UNROLL
  for (int i = 0; i < piece_codes; ++i)
    if (row < rows && k + i < K) piece.at[i] = x.codes[row * x.stride + k + i];
  return piece;
}

}  // namespace dsv3::cuda
