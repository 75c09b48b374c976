// SPDX-License-Identifier: MIT
/// \file
/// One tile of a product of codes: what a thread makes at a time.
#pragma once
#include "reference/linear/fp8_gemm.hpp"
#include "reference/linear/fp8_panels.hpp"

namespace dsv3 {

enum class Fp8Sums { replace, add };  ///< what becomes of a sum: it replaces what is there or is added to it

/// Makes the tiles of out = a b^T; used by many threads at once.
class Fp8TileMaker {
 public:
  /// `interval` >= 1 products are summed before they are promoted. The operands outlive the maker.
  Fp8TileMaker(const Fp8Part& a, const Fp8Part& b, const Fp8Arithmetic& how, Index interval);

  Index rows() const { return rows_; }  ///< of a tile, at most
  Index cols() const { return cols_; }
  Index piece() const { return depth_; }  ///< products of an interval that are summed at a time

  /// `out` is the tile whose upper left element is (i, j) of the product.
  void make(FloatOut out, Index i, Index j, Fp8Sums sums) const;

 private:
  struct Tile;
  void sum_interval(Tile& tile, FloatOut out, Index k0, Index k1, Fp8Sums sums_to_out) const;
  void carry(const Tile& tile, Index panel, float* sums, Index k) const;
  void sum_specials(Tile& tile, Index panel, float* sums, Index k0, Index k1) const;
  void promote(const Tile& tile, Index panel, const float* sums, Index k0, Index k_s, float* acc) const;
  void put(const Tile& tile, Index panel, const float* acc, FloatOut out, Fp8Sums sums) const;

  Fp8Part a_, b_;
  Fp8Arithmetic how_;
  Index interval_, rows_, cols_, depth_;
  Decoder decode_a_, decode_b_;
};

}  // namespace dsv3
