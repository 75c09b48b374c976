// SPDX-License-Identifier: MIT
//
// 4096 x 7168 x 16384: 962 GFLOP; on the CUDA cores, at 128 fused multiply-adds a cycle and multiprocessor (62
// TFLOP/s), 15.6 ms: this rung's floor, 32 times that of the tensor cores. Its 243 MB are 81 us at 3.0 TB/s.
//
// A block of threads has 128 x 64 elements of out. Of each 128 codes along K it copies the rows of a and b to shared
// memory, 16 codes a load, and decodes them on the way: once for each block and not for each product. A thread has 8 x
// 8 elements: 16 values read for 64 multiply-adds, so that shared memory keeps up. 96 KB of tiles: two blocks share a
// multiprocessor, and one multiplies while the other copies.
#include <cmath>

#include "cuda/core/bf16.cuh"
#include "cuda/core/fp8.cuh"
#include "cuda/core/launch.cuh"
#include "cuda/linear/fp8_gemm_rungs.hpp"
#include "cuda/linear/fp8_rows.cuh"

namespace dsv3::cuda {
namespace {

constexpr int rows_a = 128, rows_b = 64, each = 8;  // of a tile; of a thread
constexpr int threads_across = rows_b / each, threads_down = rows_a / each, threads = threads_across * threads_down;
constexpr int quads = scale_group / 4;  // of values, in a row of a tile
constexpr int tile_bytes = (rows_a + rows_b) * scale_group * static_cast<int>(sizeof(float));

/// Where values 4 quad .. 4 quad + 3 of a row lie, in units of four: moved so that eight threads find eight different
/// sets of banks, be it one row's quads 4 apart (as codes are stored) or one quad of every second row (as it is read).
DSV3_BOTH int place_of_quad(int row, int quad) { return row * quads + (quad ^ (quad / 8) ^ (row / 2 % 8)); }

/// 128 codes from k on of each of `count` rows, decoded; zeros beyond the matrix.
DSV3_DEVICE void copy_decoded(Vec<float, 4>* tile, const Fp8Rows& x, int first, int count, int rows, int k, int K) {
  constexpr int pieces = scale_group / piece_codes;
  for (int i = thread(); i < count * pieces; i += threads) {
    const int row = i / pieces, piece = i % pieces;
    const Piece codes = piece_at_edge(x, first + row, rows, k + piece * piece_codes, K);
    DSV3_UNROLL
    for (int q = 0; q < piece_codes / 4; ++q) {
      const auto pair = [&](int j) {
        return values_of_e4m3(static_cast<std::uint16_t>(codes.at[4 * q + j] | codes.at[4 * q + j + 1] << 8));
      };
      const Vec<float, 2> low = pair(0), high = pair(2);
      tile[place_of_quad(row, piece * piece_codes / 4 + q)] = {{low.at[0], low.at[1], high.at[0], high.at[1]}};
    }
  }
}

/// The rows of a thread's elements in a tile of a, and in one of b: neighbours in pairs, as they are stored.
DSV3_DEVICE int row_of_a(int i) { return thread() / threads_across + i * threads_down; }
DSV3_DEVICE int row_of_b(int j) { return j / 2 * 2 * threads_across + thread() % threads_across * 2 + j % 2; }

/// p = the sums of the tiles' products, in FP32, ascending.
DSV3_DEVICE void multiply(float (&p)[each][each], const Vec<float, 4>* a, const Vec<float, 4>* b) {
  for (int quad = 0; quad < quads; ++quad) {
    Vec<float, 4> of_a[each], of_b[each];
    DSV3_UNROLL
    for (int i = 0; i < each; ++i) {
      of_a[i] = a[place_of_quad(row_of_a(i), quad)];
      of_b[i] = b[place_of_quad(row_of_b(i), quad)];
    }
    DSV3_UNROLL
    for (int k = 0; k < 4; ++k) {
      DSV3_UNROLL
      for (int i = 0; i < each; ++i) {
        DSV3_UNROLL
        for (int j = 0; j < each; ++j) p[i][j] = std::fma(of_a[i].at[k], of_b[j].at[k], p[i][j]);
      }
    }
  }
}

/// acc = fma(p, s_a s_b, acc); one block of b's scales, as 64 divides 128.
DSV3_DEVICE void promote(float (&acc)[each][each], const float (&p)[each][each], const Fp8Gemm& g, int first_row,
                         int first_col, int group) {
  const float s_b = g.b_scales.data[first_col / scale_group * g.b_scales.stride + group];
  DSV3_UNROLL
  for (int i = 0; i < each; ++i) {
    const int row = first_row + row_of_a(i);
    const float s = row < g.M ? g.a_scales.data[group * g.a_scales.stride + row] * s_b : 0;
    DSV3_UNROLL
    for (int j = 0; j < each; ++j) acc[i][j] = std::fma(p[i][j], s, acc[i][j]);
  }
}

DSV3_DEVICE void store_tile(const Fp8Gemm& g, const float (&acc)[each][each], int first_row, int first_col) {
  DSV3_UNROLL
  for (int i = 0; i < each; ++i) {
    DSV3_UNROLL
    for (int j = 0; j < each; j += 2) {
      const int row = first_row + row_of_a(i), col = first_col + row_of_b(j);
      if (row < g.M && col < g.N)
        store<2>(g.out + row * g.out_stride + col, Vec<std::uint16_t, 2>{{bf16_of(acc[i][j]), bf16_of(acc[i][j + 1])}});
    }
  }
}

DSV3_KERNEL(threads)
tile_each(DSV3_GRID_CONSTANT Fp8Gemm g) {
  auto* const a = reinterpret_cast<Vec<float, 4>*>(shared_memory());
  Vec<float, 4>* const b = a + rows_a * quads;
  const int down = ceil_div(g.M, rows_a), first_row = block() % down * rows_a, first_col = block() / down * rows_b;
  float acc[each][each] = {};
  for (int k = 0; k < g.K; k += scale_group) {
    copy_decoded(a, g.a, first_row, rows_a, g.M, k, g.K);
    copy_decoded(b, g.b, first_col, rows_b, g.N, k, g.K);
    sync_threads();
    float p[each][each] = {};
    multiply(p, a, b);
    promote(acc, p, g, first_row, first_col, k / scale_group);
    sync_threads();  // before the tiles are overwritten
  }
  store_tile(g, acc, first_row, first_col);
}

}  // namespace

void fp8_gemm_tiles(const Fp8Gemm& g, Stream stream) {
  launch(tile_each,
         {.x = ceil_div(g.M, rows_a) * ceil_div(g.N, rows_b),
          .threads = threads,
          .shared_bytes = tile_bytes,
          .stream = stream},
         g);
}

}  // namespace dsv3::cuda
