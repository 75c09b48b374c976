// SPDX-License-Identifier: MIT
/// \file
/// RoPE: the rotation of channel pairs by an angle that grows with the position, Eqs. (3) and (8).
#pragma once
#include "reference/core/context.hpp"
#include "reference/rope/frequencies.hpp"

namespace dsv3 {

/// Which two of a head's `width` channels form pair i.
/// interleaved: 2i and 2i + 1, the released weights and the default here. half: i and i + width/2 ("rotate half").
enum class RopeLayout { interleaved, half };

/// cos and sin for the rows of one call.
///
/// They are computed for the rows at hand, not for all max_length positions: width/2 pairs a row cost next to nothing
/// beside the row's projections, and 163840 positions of a table for every layer do not.
/// Numerics contract: angle = position f_i, cos and sin of it and their factor in double, rounded to `real` once; the
/// rotation itself in `real`. AngleDialect::released: position, f_i, their product, cos and sin, and these times their
/// factor, are each rounded to FP32 (cos and sin correctly; PyTorch's are within a last bit of that).
/// Differs from the report: it says nothing about rounding. The angles of the released code are off by up to about
/// p 2^-24 radians at position p, 1e-4 at 1500, which moves logits ten times as far as all FP32 sums together. The
/// weights were released with that code, so checkpoints are run like it; configurations of our own are exact.
class RopeTable {
 public:
  /// Throws std::invalid_argument for a position outside 0 .. max_length - 1 or a configuration that cannot be right.
  RopeTable(const RopeConfig& config, const Sequences& rows);

  /// In place, each head's pair (a, b) of row t at position m:
  ///     a' = a cos(m f_i) - b sin(m f_i),  b' = a sin(m f_i) + b cos(m f_i).
  /// \param x [T, heads * width], one or more heads side by side
  void rotate(View x, RopeLayout layout = RopeLayout::interleaved) const;

  /// The transpose: from the gradient of the rotated values to that of the values before, in place.
  void rotate_back(View dx, RopeLayout layout = RopeLayout::interleaved) const;

 private:
  /// The tables from the frequencies f, every step rounded to T.
  template <class T>
  void fill(const std::vector<T>& f, double factor, const Sequences& rows);
  void turn(View x, RopeLayout layout, real direction) const;

  Index width_;
  Matrix cos_, sin_;  // [T, width / 2]
};

/// `x` with the channels of each head reordered from one layout to the other; rotating it in layout `to` gives the
/// same numbers at the reordered places, so scores q k^T do not change if q and k are both reordered.
/// \param x [T, heads * width]
Matrix reorder_channels(const Matrix& x, Index width, RopeLayout from, RopeLayout to);

/// The same for the rows of a weight that makes such channels, W_QR or W_KR.
/// \param W [heads * width, in]
Matrix reorder_rows(const Matrix& W, Index width, RopeLayout from, RopeLayout to);

}  // namespace dsv3
