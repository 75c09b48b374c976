// SPDX-License-Identifier: MIT
/// \file
/// What a copy engine must know of a matrix in the device's memory.
#pragma once
#include <cstdint>

namespace dsv3::cuda {

/// A matrix in rows and the box that a copy takes of it. 128 bytes that the device reads (a CUtensorMap), or that the
/// CPU reads which plays it.
struct alignas(64) TensorMap {
  std::uint64_t words[16];
};

/// Rows of `cols` values, one each `stride` values (their bytes a multiple of 16, as the address of `data`); boxes of
/// `box_rows` (at most 256) times 128 bytes, swizzled.
/// \throws std::invalid_argument for what copies cannot do; std::runtime_error where there is no driver.
TensorMap tensor_map(const std::uint8_t* data, std::int64_t rows, std::int64_t cols, std::int64_t stride, int box_rows);
/// The same of BF16: a box is 64 values wide.
TensorMap tensor_map(const std::uint16_t* data, std::int64_t rows, std::int64_t cols, std::int64_t stride,
                     int box_rows);

}  // namespace dsv3::cuda
