// SPDX-License-Identifier: MIT
/// \file
/// The kernels that the memory's bandwidth limits, as they are measured: BF16 in, codes and scales out. Each has
/// call(), forget(), bytes(), which are read and written, and wrong(), of the last call's result: its first and last
/// rows beside the reference, at most 128 of each.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "cuda/bench/quantised_result.hpp"
#include "cuda/core/device.hpp"

namespace dsv3::cuda::bench {

/// Random BF16 [rows, cols] on both sides.
struct RandomRows {
  RandomRows(int rows, int cols, std::uint64_t seed);

  Bf16Rows on_device() const { return {device.data(), rows, cols, cols}; }
  FloatMatrix values(int first, int count) const;  ///< of some rows

  int rows, cols;
  std::vector<std::uint16_t> host;
  Buffer<std::uint16_t> device;
};

/// Read and written: each value and each code once, and the scales.
double quantise_bytes(QuantiseTo to, int rows, int cols);

/// quantise.hpp, bit for bit.
class QuantiseCase {
 public:
  QuantiseCase(QuantiseTo to, int rows, int cols, std::uint64_t seed);

  void call();
  void forget() { result_.forget(); }
  std::string wrong() const;
  double bytes() const { return quantise_bytes(to_, x_.rows, x_.cols); }

 private:
  QuantiseTo to_;
  RandomRows x_;
  QuantisedResult result_;
};

/// swiglu.hpp forward, with weights; bit for bit where Eigen's packets fuse, as on x86-64-v3.
class SwigluCase {
 public:
  SwigluCase(int rows, int f, std::uint64_t seed);

  void call();
  void forget() { result_.forget(); }
  std::string wrong() const;
  double bytes() const { return bytes(x_.rows, x_.cols / 2); }
  static double bytes(int rows, int f) {
    return quantise_bytes(QuantiseTo::tiles, rows, f) + 2.0 * rows * f + 4.0 * rows;
  }

 private:
  Quantised expected(int first, int count) const;

  RandomRows x_;
  std::vector<float> host_weight_;
  Buffer<float> weight_;
  QuantisedResult result_;
};

/// rms_norm.hpp with a residual: its sums have another order than the reference's, so that a code may be the next one.
class RmsNormCase {
 public:
  RmsNormCase(int rows, int d, std::uint64_t seed);

  void call();
  void forget() { result_.forget(); }
  std::string wrong() const;
  double bytes() const { return bytes(x_.rows, x_.cols); }
  /// Two matrices read, one and the codes written, and a number for each row.
  static double bytes(int rows, int d) {
    return quantise_bytes(QuantiseTo::tiles, rows, d) + 4.0 * rows * d + 4.0 * rows + 4.0 * d;
  }

 private:
  Quantised expected(int first, int count) const;

  RandomRows x_, residual_;
  std::vector<float> host_gain_;
  Buffer<float> gain_, rstd_;
  Buffer<std::uint16_t> sum_;
  QuantisedResult result_;
};

}  // namespace dsv3::cuda::bench
