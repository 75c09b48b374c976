// SPDX-License-Identifier: MIT
/// \file
/// The kernels that the memory's bandwidth limits, as they are measured. Their results must have the reference's bits.
#pragma once
#include <string>
#include <vector>

#include "cuda/core/device.hpp"
#include "cuda/formats/quantise.hpp"

namespace dsv3::cuda::bench {

enum class QuantiseTo { tiles, tiles_transposed, blocks };  ///< 1x128; 128x1, transposed; 128x128

/// Read and written: each value and each code once, and the scales.
double quantise_bytes(QuantiseTo to, int rows, int cols);

/// BF16 [rows, cols] to codes and scales. rows and cols are multiples of 16.
class QuantiseCase {
 public:
  QuantiseCase(QuantiseTo to, int rows, int cols, std::uint64_t seed);

  void call();
  /// Of the last call's result: the first 128 and the last 128 rows of x.
  std::string wrong() const;
  void forget() { codes_.fill(0xFF), scales_.fill(0xFF); }
  double bytes() const { return quantise_bytes(to_, rows_, cols_); }

 private:
  std::string wrong_rows(int first, int count) const;

  QuantiseTo to_;
  int rows_, cols_;
  std::vector<std::uint16_t> host_x_;
  Buffer<std::uint16_t> x_;
  Buffer<std::uint8_t> codes_;
  Buffer<float> scales_;
};

}  // namespace dsv3::cuda::bench
