// SPDX-License-Identifier: MIT
/// \file
/// Codes and scales that a kernel has written, compared with the reference's.
#pragma once
#include <string>

#include "cuda/formats/quantise.hpp"
#include "reference/formats/quantised.hpp"

namespace dsv3::cuda::bench {

enum class QuantiseTo { tiles, tiles_transposed, blocks };  ///< 1x128; 128x1, transposed; 128x128

Groups groups_of(QuantiseTo to);
int num_scales(QuantiseTo to, int rows, int cols);

/// Of a matrix [rows, cols], both multiples of 16, without gaps.
class QuantisedResult {
 public:
  /// \throws std::invalid_argument for other sizes.
  QuantisedResult(QuantiseTo to, int rows, int cols);

  Fp8Output out();
  void forget() { codes_.fill(0xFF), scales_.fill(0xFF); }

  /// Empty, or the first difference of the rows from `first` on, a multiple of 128, to what they must be.
  /// `may_differ`: this part of the codes by one step, and scales by 2^-7; 0: none.
  std::string what_is_wrong(int first, const Quantised& want, double may_differ = 0) const;
  /// Empty, or how many of all codes are missing.
  std::string what_is_unwritten() const;

 private:
  QuantiseTo to_;
  int rows_, cols_;
  Buffer<std::uint8_t> codes_;
  Buffer<float> scales_;
};

}  // namespace dsv3::cuda::bench
