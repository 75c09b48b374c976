// SPDX-License-Identifier: MIT
/// \file
/// BF16 to E4M3 codes and scales on the device: the counterparts of reference/formats/quantise.hpp, dialect
/// deepseek_v3, bit for bit. A group with a NaN or an infinity is NaN as a whole. Nothing happens where there are no
/// rows or columns. All throw std::invalid_argument, before any launch, for a negative size, a stride smaller than a
/// row or one that is no multiple of 16 bytes, and an address that is none.
#pragma once
#include <cstdint>

#include "cuda/core/device.hpp"
#include "cuda/formats/scale.hpp"

namespace dsv3::cuda {

/// A matrix of BF16 in the device's memory, row after row each `stride` values: address and bytes a multiple of 16.
struct Bf16Rows {
  const std::uint16_t* data;
  int rows, cols;
  std::int64_t stride;
};

/// Where codes and scales go. A stride of codes is a multiple of 16 and what lies between a row's end and the stride is
/// not written.
struct Fp8Output {
  std::uint8_t* codes;
  std::int64_t stride;
  float* scales;
  std::int64_t scales_stride;
};

/// Tiles of 1x128 along the columns: codes [rows, cols]; the scale of row i and of the k-th 128 columns is
/// scales[k * scales_stride + i] (M-major, as fp8_gemm.hpp reads it).
void quantise_1x128(const Bf16Rows& x, const Fp8Output& out, Scale scale, Stream stream = nullptr);

/// Groups of 128x1 along the rows, transposed: codes [cols, rows]; the scale of column j and of the k-th 128 rows is
/// scales[k * scales_stride + j]. The operand of Wgrad.
void quantise_128x1_transposed(const Bf16Rows& x, const Fp8Output& out, Scale scale, Stream stream = nullptr);

/// Blocks of 128x128: codes [rows, cols]; the scale of block (n, k) is scales[n * scales_stride + k]. The weight of
/// Fprop. With `transposed` not null codes [cols, rows] and the same scales transposed go there: the weight of Dgrad.
void quantise_128x128(const Bf16Rows& x, const Fp8Output& out, const Fp8Output* transposed, Scale scale,
                      Stream stream = nullptr);

}  // namespace dsv3::cuda
