// SPDX-License-Identifier: MIT
/// \file
/// Scales and results of the products of fp8_gemm.hpp, as the kernel in ring.cuh asks for them.
#pragma once
#include "cuda/core/bf16.cuh"
#include "cuda/linear/fp8_gemm.hpp"
#include "cuda/linear/ring.cuh"

namespace dsv3::cuda {

/// s = s_a s_b of a thread's sums where b is in blocks: two rows, and columns before and beyond a block's edge.
template <int width>
struct BlockStepScales {
  static constexpr bool never_crosses = scale_group % width == 0;  ///< a tile an edge
  float near[2], beyond[2];
  int near_cols;  ///< of the tile
  DSV3_DEVICE float of(int i) const {
    if constexpr (never_crosses) return near[i / 2 % 2];
    else return i / 4 * 8 < near_cols ? near[i / 2 % 2] : beyond[i / 2 % 2];
  }
};

/// a in tiles of 1x128, b in blocks of 128x128, out in BF16.
template <class Schedule>
struct BlockScaledProblem {
  Schedule schedule;
  TileScales a_scales;
  BlockScales b_scales;
  std::int64_t a_scales_of_expert, b_scales_of_expert;  ///< values from one expert's scales to the next's
  int scale_row_of_expert;  ///< rows of a whose scales lie before an expert's, where a_scales_of_expert counts them
  std::uint16_t* out;
  std::int64_t out_stride;

  template <int width>
  DSV3_DEVICE BlockStepScales<width> scales(const Tile& tile, int step, int row, int) const {
    const float* const of_a = a_scales.data + tile.expert * a_scales_of_expert + step * a_scales.stride + tile.a_row -
                              tile.expert * scale_row_of_expert;
    const int last = tile.rows - 1, block = tile.col / scale_group;
    const float* const of_b = b_scales.data + tile.expert * b_scales_of_expert + block * b_scales.stride + step;
    const int near_cols = (block + 1) * scale_group - tile.col;
    const float a[] = {of_a[row < last ? row : last], of_a[row + 8 < last ? row + 8 : last]};
    const float b[] = {of_b[0],
                       !BlockStepScales<width>::never_crosses && near_cols < tile.cols ? of_b[b_scales.stride] : 0};
    return {{a[0] * b[0], a[1] * b[0]}, {a[0] * b[1], a[1] * b[1]}, near_cols};
  }

  DSV3_DEVICE void store(const Tile& tile, int row, int col, float first, float second) const {
    std::uint16_t* const to = out + (tile.out_row + row) * out_stride + tile.col + col;
    cuda::store<2>(to, Vec<std::uint16_t, 2>{bf16_of(first), bf16_of(second)});
  }
};

/// The same where b is in tiles of 1x128 as well: a scale for each of the thread's columns.
template <int width>
struct TileStepScales {
  float a[2], b[width / 4];
  DSV3_DEVICE float of(int i) const { return a[i / 2 % 2] * b[i / 4 * 2 + i % 2]; }
};

/// Both in tiles of 1x128, out in FP32 and added to.
struct TileScaledProblem {
  DepthSchedule schedule;
  TileScales a_scales, b_scales;
  float* out;
  std::int64_t out_stride;

  template <int width>
  DSV3_DEVICE TileStepScales<width> scales(const Tile& tile, int step, int row, int first_col) const {
    const std::int64_t k = tile.first_step + step;
    const float* const of_a = a_scales.data + k * a_scales.stride + tile.a_row;
    const float* const of_b = b_scales.data + k * b_scales.stride + tile.b_row;
    const int last = tile.rows - 1;
    TileStepScales<width> s;
    s.a[0] = of_a[row < last ? row : last], s.a[1] = of_a[row + 8 < last ? row + 8 : last];
    DSV3_UNROLL
    for (int j = 0; j < width / 8; ++j) {
      const int col = j * 8 + first_col;
      s.b[2 * j] = col < tile.cols ? of_b[col] : 0, s.b[2 * j + 1] = col + 1 < tile.cols ? of_b[col + 1] : 0;
    }
    return s;
  }

  DSV3_DEVICE void store(const Tile& tile, int row, int col, float first, float second) const {
    float* const to = out + (tile.out_row + row) * out_stride + tile.col + col;
    to[0] += first;
    if (col + 1 < tile.cols) to[1] += second;
  }
};

}  // namespace dsv3::cuda
