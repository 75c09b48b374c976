// SPDX-License-Identifier: MIT
/// \file
/// The kernel of all fast products: one warpgroup lets TMA fill a ring of tiles, two multiply them and promote the
/// sums.
///
/// A step is 128 bytes of K of 128 rows of a and `width` rows of b. Each of the two warpgroups that multiply has 64 of
/// the 128 rows: four wgmma give the step's sum in one half of their registers, then that sum times its scales is added
/// to the other half. While one promotes, the other's products run.
#pragma once
#include <cmath>

#include "cuda/core/launch.cuh"
#include "cuda/core/wgmma.cuh"
#include "cuda/linear/schedule.hpp"

namespace dsv3::cuda {

inline constexpr int warps_each = warpgroup_size / warp_size;
inline constexpr int multipliers = 2;                                    ///< warpgroups
inline constexpr int ring_threads = (multipliers + 1) * warpgroup_size;  ///< the last fills the ring
inline constexpr int most_shared_bytes = 227 * 1024 - 1024;              ///< of a block; the rest for barriers
inline constexpr int most_stages = 8;

DSV3_BOTH int stage_bytes(int width) { return (tile_rows + width) * swizzle_bytes; }
DSV3_BOTH int num_stages(int width) {
  const int fit = most_shared_bytes / stage_bytes(width);
  return fit < most_stages ? fit : most_stages;
}
DSV3_BOTH int ring_bytes(int width) {
  return num_stages(width) * (stage_bytes(width) + 2 * static_cast<int>(sizeof(Barrier)));
}

/// Stages of shared memory and their barriers. A stage's number counts on for ever: which lap it is gives the parity.
template <int width>
struct Ring {
  static constexpr int stages = num_stages(width);

  DSV3_DEVICE std::byte* a(int number) const { return shared_memory() + number % stages * stage_bytes(width); }
  DSV3_DEVICE std::byte* b(int number) const { return a(number) + tile_rows * swizzle_bytes; }
  DSV3_DEVICE Barrier& full(int number) const { return barriers()[number % stages]; }
  DSV3_DEVICE Barrier& empty(int number) const { return barriers()[stages + number % stages]; }
  DSV3_DEVICE static int parity(int number) { return number / stages % 2; }

  DSV3_DEVICE void init() const {
    if (thread() == 0) {
      for (int i = 0; i < stages; ++i) full(i).init(1), empty(i).init(multipliers * warps_each);
      fence_barriers();
    }
    sync_threads();
  }

 private:
  DSV3_DEVICE Barrier* barriers() const {
    return reinterpret_cast<Barrier*>(shared_memory() + stages * stage_bytes(width));
  }
};

/// One thread fills stage after stage with the tiles of all its steps.
template <int width, class Problem>
DSV3_DEVICE void fill_ring(const Ring<width>& ring, const TensorMap& a, const TensorMap& b, const Problem& problem) {
  int number = 0;
  for (int index = block();; index += num_blocks()) {
    const Tile tile = problem.schedule.tile(index);
    if (tile.is_last) return;
    if (tile.rows == 0) continue;
    for (int step = 0; step < tile.steps; ++step, ++number) {
      ring.empty(number).wait(ring.parity(number) ^ 1);  // the first lap finds all empty
      const int k = (tile.first_step + step) * step_depth;
      ring.full(number).arrive_and_expect(stage_bytes(width));
      copy_tile(ring.a(number), a, tile.a_row, k, ring.full(number));
      copy_tile(ring.b(number), b, tile.b_row, k, ring.full(number));
    }
  }
}

/// The sums of one step, 64 x width, from a stage.
template <int width>
DSV3_DEVICE void multiply_step(float (&sums)[width / 2], const std::byte* a, const std::byte* b) {
  const std::uint64_t a_tile = wgmma_descriptor(shared_address(a)), b_tile = wgmma_descriptor(shared_address(b));
  mma_fence(sums);
  mma_begin();
  DSV3_UNROLL
  for (int k = 0; k < step_depth; k += mma_bytes)
    mma<Mma::e4m3>(sums, moved_along_k(a_tile, k), moved_along_k(b_tile, k), k > 0);
  mma_commit();
  mma_wait<0>();
  mma_fence(sums);
}

/// acc = fma(p, s_a s_b, acc), Figure 7.
template <int n, class StepScales>
DSV3_DEVICE void promote(float (&acc)[n], const float (&p)[n], const StepScales& scales) {
  DSV3_UNROLL
  for (int i = 0; i < n; ++i) acc[i] = std::fma(p[i], scales.of(i), acc[i]);
}

/// A warpgroup multiplies its 64 rows of every tile and hands the sums on.
template <int width, class Problem>
DSV3_DEVICE void empty_ring(const Ring<width>& ring, const Problem& problem) {
  const int first_row = warp() / 4 * mma_rows, t = thread() % warpgroup_size;
  int number = 0;
  for (int index = block();; index += num_blocks()) {
    const Tile tile = problem.schedule.tile(index);
    if (tile.is_last) return;
    if (tile.rows == 0) continue;
    const bool has_rows = first_row < tile.rows;  // else its 64 are beyond the last
    float acc[width / 2] = {};
    for (int step = 0; step < tile.steps; ++step, ++number) {
      float sums[width / 2];
      const auto scales = problem.template scales<width>(tile, step, first_row + accumulator_row(t, 0), t % 4 * 2);
      ring.full(number).wait(ring.parity(number));
      if (has_rows) multiply_step<width>(sums, ring.a(number) + first_row * swizzle_bytes, ring.b(number));
      sync_warp();  // a wait for products is the warp's own: so each of them says that it has read the stage
      if (lane() == 0) ring.empty(number).arrive();
      if (has_rows) promote(acc, sums, scales);
    }
    DSV3_UNROLL
    for (int i = 0; i < width / 2; i += 2) {
      const int row = first_row + accumulator_row(t, i), col = accumulator_col(t, i);
      if (row < tile.rows && col < tile.cols) problem.store(tile, row, col, acc[i], acc[i + 1]);
    }
  }
}

template <int width, class Problem>
DSV3_KERNEL_ALONE(ring_threads)
multiply_in_ring(DSV3_GRID_CONSTANT TensorMap a, DSV3_GRID_CONSTANT TensorMap b, DSV3_GRID_CONSTANT Problem problem) {
  const Ring<width> ring;
  ring.init();
  if (warp() / 4 == multipliers) {
    lower_registers<40>();
    if (thread() == multipliers * warpgroup_size) fill_ring(ring, a, b, problem);
  } else {
    raise_registers<232>();
    empty_ring(ring, problem);
  }
}

/// Rows of codes as a problem says, in boxes of a tile.
struct RingOperands {
  const std::uint8_t *a, *b;
  std::int64_t a_stride, b_stride, a_rows, b_rows, depth;
};

/// Starts the kernel of the problem's width.
template <class Problem>
void launch_ring(const RingOperands& x, const Problem& problem, int num_blocks, Stream stream) {
  const auto with = [&](auto kernel, int width) {
    launch(kernel,
           {.x = num_blocks,
            .threads = ring_threads,
            .shared_bytes = static_cast<std::size_t>(ring_bytes(width)),
            .stream = stream},
           tensor_map(x.a, x.a_rows, x.depth, x.a_stride, tile_rows),
           tensor_map(x.b, x.b_rows, x.depth, x.b_stride, width), problem);
  };
  switch (problem.schedule.width) {
    case 64:
      return with(multiply_in_ring<64, Problem>, 64);
    case 96:
      return with(multiply_in_ring<96, Problem>, 96);
    case 128:
      return with(multiply_in_ring<128, Problem>, 128);
    default:
      return with(multiply_in_ring<160, Problem>, 160);
  }
}

}  // namespace dsv3::cuda
