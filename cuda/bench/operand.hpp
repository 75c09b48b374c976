// SPDX-License-Identifier: MIT
/// \file
/// Random operands of the products that are measured: the same on the device and on the host, which checks with them.
#pragma once
#include <span>
#include <vector>

#include "cuda/core/device.hpp"
#include "cuda/linear/fp8_gemm.hpp"
#include "reference/formats/quantised.hpp"

namespace dsv3::cuda::bench {

/// `count` codes of E4M3, as normal values have them that are quantised in groups of 128. No NaN, hardly a zero.
std::vector<std::uint8_t> random_codes(std::int64_t count, std::uint64_t seed);
/// Positive, as the scales of activations of about 1.
std::vector<float> random_scales(std::int64_t count, std::uint64_t seed);
/// Normal values in BF16.
std::vector<std::uint16_t> random_bf16(std::int64_t count, std::uint64_t seed);

enum class ScaledBy { tiles, blocks };  ///< 1x128, M-major, or 128x128: the layouts of fp8_gemm.hpp

/// Codes [experts, rows, K] (an activation has one expert, or as many blocks of rows as there are) and their scales.
class Operand {
 public:
  Operand(int experts, int rows, int K, ScaledBy scaled_by, std::uint64_t seed);

  int rows() const { return rows_; }
  int depth() const { return K_; }
  Fp8Rows codes() const { return {codes_.data(), stride_}; }
  TileScales tile_scales() const { return {scales_.data(), scales_stride_}; }
  BlockScales block_scales() const { return {scales_.data(), scales_stride_}; }
  const std::vector<std::uint8_t>& host_codes() const { return host_codes_; }
  const std::vector<float>& host_scales() const { return host_scales_; }
  std::int64_t stride() const { return stride_; }  ///< of a row's codes

  /// Some rows of an expert as the reference's products read them, in tiles of 1x128: the columns first_k ..
  /// first_k + depth - 1, of which first_k is a multiple of 128. Without scales: all are 1.
  Quantised some(int expert, std::span<const int> rows, int first_k, int depth, bool with_scales) const;

 private:
  float scale(int expert, int row, int k) const;

  int rows_, K_;
  ScaledBy scaled_by_;
  std::int64_t stride_, scales_stride_, scales_of_expert_;
  std::vector<std::uint8_t> host_codes_;
  std::vector<float> host_scales_;
  Buffer<std::uint8_t> codes_;
  Buffer<float> scales_;
};

}  // namespace dsv3::cuda::bench
