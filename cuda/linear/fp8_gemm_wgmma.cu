// SPDX-License-Identifier: MIT
//
// 4096 x 7168 x 16384: 962 GFLOP, 486 us at 1979 TFLOP/s; 243 MB, 81 us at 3.0 TB/s.
//
// A block of 256 threads has 128 x 128 elements of out, each of its two warpgroups 64 rows of them. Of each 128 codes
// along K four wgmma give the sums, which are then promoted. A step's 32 KB come from the L2 cache and its 2 M products
// take 512 cycles: 64 bytes a cycle and multiprocessor, more than the cache is likely to give. While the products run,
// the threads copy the next step: 16-byte loads to registers before, stores to the other half of shared memory (64 KB)
// meanwhile. What is left to gain: the threads issue every load and store themselves, all of them wait for the slowest
// twice a step, and nothing is multiplied while they promote. The next rung leaves copies to an engine.
//
// Registers: 64 sums of the step, 64 of the element, 32 of codes on their way: one block on a multiprocessor.
#include <cmath>

#include "cuda/core/bf16.cuh"
#include "cuda/core/launch.cuh"
#include "cuda/core/wgmma.cuh"
#include "cuda/linear/fp8_gemm_rungs.hpp"
#include "cuda/linear/fp8_rows.cuh"

namespace dsv3::cuda {
namespace {

constexpr int side = 128, threads = 2 * warpgroup_size, num_sums = side / 2;
constexpr int tile_bytes = side * swizzle_bytes, stage_bytes = 2 * tile_bytes, stages = 2;
constexpr int pieces_in_row = scale_group / piece_codes;
constexpr int pieces_each = side * pieces_in_row / threads;  // of a tile's, for a thread

/// A block's part of the product.
struct Place {
  int first_row, first_col;
};

/// A thread's part of a step's codes, on their way: neighbours in a row are neighbours in a warp.
struct Codes {
  Piece a[pieces_each], b[pieces_each];
};

DSV3_DEVICE int tile_row(int i) { return (thread() + i * threads) / pieces_in_row; }
DSV3_DEVICE int tile_byte() { return thread() % pieces_in_row * piece_codes; }

DSV3_DEVICE void load_codes(Codes& codes, const Fp8Gemm& g, const Place& at, int k) {
  const auto load_all = [&](const auto& piece) {
    DSV3_UNROLL
    for (int i = 0; i < pieces_each; ++i) {
      codes.a[i] = piece(g.a, at.first_row + tile_row(i), g.M);
      codes.b[i] = piece(g.b, at.first_col + tile_row(i), g.N);
    }
  };
  const int from = k + tile_byte();
  if (k + scale_group <= g.K)  // all threads alike: loads do not wait for each other
    load_all([&](const Fp8Rows& x, int row, int rows) { return whole_piece(x, row, rows, from); });
  else load_all([&](const Fp8Rows& x, int row, int rows) { return piece_at_edge(x, row, rows, from, g.K); });
}

DSV3_DEVICE void store_codes(std::byte* stage, const Codes& codes) {
  DSV3_UNROLL
  for (int i = 0; i < pieces_each; ++i) {
    const std::uint32_t to = swizzled(static_cast<std::uint32_t>(tile_row(i) * swizzle_bytes + tile_byte()));
    *reinterpret_cast<Piece*>(stage + to) = codes.a[i];
    *reinterpret_cast<Piece*>(stage + tile_bytes + to) = codes.b[i];
  }
  fence_shared_for_async();
}

/// Begins the products of a step: the warpgroup's 64 rows of a by the 128 of b.
DSV3_DEVICE void begin_products(float (&p)[num_sums], const std::byte* stage) {
  const std::byte* const a = stage + warp() / 4 * mma_rows * swizzle_bytes;
  const std::uint64_t a_tile = wgmma_descriptor(shared_address(a)),
                      b_tile = wgmma_descriptor(shared_address(stage + tile_bytes));
  mma_fence(p);
  mma_begin();
  DSV3_UNROLL
  for (int k = 0; k < scale_group; k += mma_bytes)
    mma<Mma::e4m3>(p, moved_along_k(a_tile, k), moved_along_k(b_tile, k), k > 0);
  mma_commit();
}

/// s_a s_b of the thread's two rows.
struct TwoScales {
  float s[2];
};

DSV3_DEVICE TwoScales scales_of(const Fp8Gemm& g, const Place& at, int row, int group) {
  const float* const of_a = g.a_scales.data + group * g.a_scales.stride;
  const float s_b = g.b_scales.data[at.first_col / scale_group * g.b_scales.stride + group];
  return {{row < g.M ? of_a[row] * s_b : 0, row + 8 < g.M ? of_a[row + 8] * s_b : 0}};
}

DSV3_DEVICE void store_sums(const Fp8Gemm& g, const Place& at, const float (&acc)[num_sums], int row) {
  DSV3_UNROLL
  for (int i = 0; i < num_sums; i += 2) {
    const int to_row = row + i / 2 % 2 * 8, col = at.first_col + accumulator_col(thread() % warpgroup_size, i);
    if (to_row < g.M && col < g.N)
      store<2>(g.out + to_row * g.out_stride + col, Vec<std::uint16_t, 2>{{bf16_of(acc[i]), bf16_of(acc[i + 1])}});
  }
}

DSV3_KERNEL_ALONE(threads)
tile_each(DSV3_GRID_CONSTANT Fp8Gemm g) {
  const int down = ceil_div(g.M, side);
  const Place at{block() % down * side, block() / down * side};
  const int row = at.first_row + warp() / 4 * mma_rows + accumulator_row(thread() % warpgroup_size, 0);
  Codes codes;
  load_codes(codes, g, at, 0);
  store_codes(shared_memory(), codes);
  sync_threads();
  float acc[num_sums] = {}, p[num_sums];
  for (int group = 0; group * scale_group < g.K; ++group) {
    const int next = (group + 1) * scale_group;
    load_codes(codes, g, at, next);
    const TwoScales scales = scales_of(g, at, row, group);
    begin_products(p, shared_memory() + group % stages * stage_bytes);
    store_codes(shared_memory() + (group + 1) % stages * stage_bytes, codes);  // read by none since the last sync
    mma_wait<0>();
    mma_fence(p);
    DSV3_UNROLL
    for (int i = 0; i < num_sums; ++i) acc[i] = std::fma(p[i], scales.s[i / 2 % 2], acc[i]);
    sync_threads();
  }
  store_sums(g, at, acc, row);
}

}  // namespace

void fp8_gemm_wgmma(const Fp8Gemm& g, Stream stream) {
  launch(tile_each,
         {.x = ceil_div(g.M, side) * ceil_div(g.N, side),
          .threads = threads,
          .shared_bytes = stages * stage_bytes,
          .stream = stream},
         g);
}

}  // namespace dsv3::cuda
