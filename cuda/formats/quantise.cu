// SPDX-License-Identifier: MIT
// Tiles of 1x128. For x [rows, cols]: 2 bytes read, 1 written and 4 / 128 of scales for each value, about 8 operations;
// 4096 x 7168 moves 89 MB, a floor of 29.7 us at 3.0 TB/s. The operations are 8 us of the CUDA cores' time (132 x 128
// lanes at 1.7 GHz).
//
// So all that counts is that memory never waits: each lane has four independent loads of 16 bytes under way before it
// needs the first (64 KB in a multiprocessor that 52 registers each fill half), the largest magnitude comes from four
// shuffles of 16 lanes, the values stay in registers, and the scale is written in the order the product reads it, in
// the same pass. A division for each value would cost more operations than all the rest: see quotient in quantise.cuh.
#include "cuda/formats/quantise.cuh"

#include "cuda/core/launch.cuh"
#include "cuda/formats/checks.hpp"

namespace dsv3::cuda {
namespace {

DSV3_KERNEL(row_tiles::threads) quantise_tiles(Bf16Rows x, Fp8Output out, Scale kind) {
  using namespace row_tiles;
  const int groups = ceil_div(x.cols, group_size), team_of_block = thread() / team, place = lane() % team;
  Eight values[rounds];
  for (int round = 0; round < rounds; ++round) {
    const Group group = group_of(block(), team_of_block, round, groups);
    const int col = group.k * group_size + place * per_lane;
    values[round] = load_eight(x.data + group.row * x.stride + col, group.row < x.rows ? x.cols - col : 0);
  }
  for (int round = 0; round < rounds; ++round)
    quantise_group(values[round], group_of(block(), team_of_block, round, groups), x.rows, x.cols, out, kind);
}

}  // namespace

void quantise_1x128(const Bf16Rows& x, const Fp8Output& out, Scale scale, Stream stream) {
  require_rows(x, "quantise_1x128");
  require_output(out, x.cols, x.rows, "quantise_1x128");
  if (x.rows == 0 || x.cols == 0) return;
  const int blocks = row_tiles::num_blocks(x.rows, ceil_div(x.cols, group_size));
  launch(quantise_tiles, {.x = blocks, .threads = row_tiles::threads, .stream = stream}, x, out, scale);
}

}  // namespace dsv3::cuda
