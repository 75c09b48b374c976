// SPDX-License-Identifier: MIT
/// \file
/// Who quantises which group: index arithmetic alone.
#pragma once
#include "cuda/core/kernel.cuh"

namespace dsv3::cuda {

inline constexpr int group_size = 128;  ///< values that share a scale; reference/formats/quantised.hpp

/// Tiles of 1x128. Sixteen lanes take a group, eight values each: 16 bytes of BF16. The sixteen teams of a block take
/// 64 groups in four rounds: 16 rows of four groups, so that a warp reads 512 bytes of a row and sixteen neighbouring
/// scales of the M-major order are written by one block.
namespace row_tiles {
inline constexpr int team = 16, per_lane = 8, threads = 256, rounds = 4;
inline constexpr int teams = threads / team, groups_wide = 4, rows_high = teams * rounds / groups_wide;

struct Group {
  int row, k;  ///< the k-th 128 columns
};

DSV3_BOTH int num_blocks(int rows, int groups) { return ceil_div(rows, rows_high) * ceil_div(groups, groups_wide); }

/// What a team does in a round; it may lie beyond the matrix.
DSV3_BOTH Group group_of(int block, int team_of_block, int round, int groups) {
  const int wide = ceil_div(groups, groups_wide), place = round * teams + team_of_block;
  return {block / wide * rows_high + place / groups_wide, block % wide * groups_wide + place % groups_wide};
}
}  // namespace row_tiles

/// Patches of 128 rows and 32 columns for a warp, 128 columns for a block of four: a lane has 16 rows and 8 columns.
/// A load reads 64 bytes of each of eight rows; 16 bytes of codes of a column by each of eight lanes are a whole line
/// of the transposed matrix.
namespace patches {
inline constexpr int rows = 16, cols = 8, lanes_wide = 4, threads = 128;

struct Place {
  int row, col;  ///< the first of a lane's patch
};

DSV3_BOTH int num_blocks(int matrix_rows, int matrix_cols) {
  return ceil_div(matrix_rows, group_size) * ceil_div(matrix_cols, group_size);
}

DSV3_BOTH Place place_of(int block, int thread, int matrix_cols) {
  const int wide = ceil_div(matrix_cols, group_size), lane = thread % warp_size;
  return {block / wide * group_size + lane / lanes_wide * rows,
          block % wide * group_size + thread / warp_size * lanes_wide * cols + lane % lanes_wide * cols};
}
}  // namespace patches

}  // namespace dsv3::cuda
