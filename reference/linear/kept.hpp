// SPDX-License-Identifier: MIT
/// \file
/// A value as it waits from F to B, or from B to W: as it is, in FP8, or in E5M6 (section 3.3.3, "Low-precision
/// activation").
#pragma once
#include <variant>

#include "reference/core/matrix.hpp"
#include "reference/formats/e5m6.hpp"
#include "reference/linear/precision.hpp"

namespace dsv3 {

/// E5M6 codes, eight to three words, and their scales.
struct PackedE5m6 {
  Words words;
  Scales s;
  Index cols = 0;
};

/// Written once, read as often as B likes: each time the same values.
class Kept {
 public:
  Kept() = default;
  Kept(Matrix value) : kept_(std::move(value)) {}     ///< as it is
  Kept(Quantised codes) : kept_(std::move(codes)) {}  ///< in FP8
  /// E4M3 in tiles of 1x128 with the recipe's scales.
  static Kept in_fp8(const Matrix& value, const Fp8Recipe& recipe);
  /// E5M6 in tiles of 1x128 with powers of two as scales.
  static Kept in_e5m6(const Matrix& value);

  Matrix value() const&;  ///< a copy, dequantised where it is codes
  Matrix value() &&;
  const Matrix& read(Matrix& space) const;  ///< without a copy where it is kept as it is, else in `space`
  const Quantised* codes() const { return std::get_if<Quantised>(&kept_); }  ///< null where it is not in FP8
  Shape shape() const;
  Index rows() const { return shape().rows; }
  std::size_t bytes() const;  ///< of codes and scales, or of the values

 private:
  std::variant<Matrix, Quantised, PackedE5m6> kept_;
};

}  // namespace dsv3
