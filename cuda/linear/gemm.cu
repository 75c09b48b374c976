// SPDX-License-Identifier: MIT
//
// 4096 x 7168 x 4096: 241 GFLOP, 243 us at the 989 TFLOP/s of BF16; 151 MB, 50 us at 3.0 TB/s.
//
// A block of threads has 128 x 256 elements of out (128 x 128 where those would be fewer tiles than multiprocessors),
// each of its two warpgroups 64 rows of them in 128 (64) registers a thread. A step is 64 values of K: 48 KB, which are
// multiplied in 1024 cycles, so 48 bytes a cycle from the L2 cache. One thread asks TMA for the steps ahead, into four
// (six) stages of shared memory; the products of a step run while the step before is being waited for, so the tensor
// cores have work at any time. Nothing is promoted: the register is FP32. Tiles computed at the same time share rows
// of a and b in the L2 cache (place_of).
#include "cuda/linear/gemm.hpp"

#include "cuda/core/bf16.cuh"
#include "cuda/core/launch.cuh"
#include "cuda/core/wgmma.cuh"
#include "cuda/linear/schedule.hpp"
#include "reference/core/require.hpp"

namespace dsv3::cuda {
namespace {

constexpr int threads = 2 * warpgroup_size;
constexpr int step_values = swizzle_bytes / static_cast<int>(sizeof(std::uint16_t));

template <int width>
struct Stages {
  static constexpr int a_bytes = tile_rows * swizzle_bytes, bytes = a_bytes + width * swizzle_bytes;
  static constexpr int count = 192 * 1024 / bytes, all_bytes = count * (bytes + static_cast<int>(sizeof(Barrier)));

  DSV3_DEVICE static std::byte* a(int step) { return shared_memory() + step % count * bytes; }
  DSV3_DEVICE static std::byte* b(int step) { return a(step) + a_bytes; }
  DSV3_DEVICE static Barrier& full(int step) {
    return reinterpret_cast<Barrier*>(shared_memory() + count * bytes)[step % count];
  }
  DSV3_DEVICE static int parity(int step) { return step / count % 2; }
};

struct Result {
  int M, N, steps;
  std::uint16_t* out;
  std::int64_t stride;
};

/// Asks for a step's tiles. By one thread, when nobody reads what they replace.
template <int width>
DSV3_DEVICE void fill(const TensorMap& a, const TensorMap& b, int row, int col, int step) {
  using S = Stages<width>;
  S::full(step).arrive_and_expect(S::bytes);
  copy_tile(S::a(step), a, row, step * step_values, S::full(step));
  copy_tile(S::b(step), b, col, step * step_values, S::full(step));
}

/// Begins the products of a step: the warpgroup's 64 rows of a by all of b's.
template <int width>
DSV3_DEVICE void begin_products(float (&d)[width / 2], int step) {
  using S = Stages<width>;
  const std::byte* const a = S::a(step) + warp() / 4 * mma_rows * swizzle_bytes;
  const std::uint64_t a_tile = wgmma_descriptor(shared_address(a)),
                      b_tile = wgmma_descriptor(shared_address(S::b(step)));
  mma_fence(d);
  mma_begin();
  DSV3_UNROLL
  for (int k = 0; k < swizzle_bytes; k += mma_bytes)
    mma<Mma::bf16>(d, moved_along_k(a_tile, k), moved_along_k(b_tile, k), step + k > 0);
  mma_commit();
}

template <int width>
DSV3_DEVICE void store_sums(const Result& to, const float (&d)[width / 2], int first_row, int first_col) {
  const int t = thread() % warpgroup_size;
  const auto code = [&](int i) { return bf16_of(to.steps == 0 ? 0 : d[i]); };
  DSV3_UNROLL
  for (int i = 0; i < width / 2; i += 2) {
    const int row = first_row + warp() / 4 * mma_rows + accumulator_row(t, i), col = first_col + accumulator_col(t, i);
    if (row < to.M && col < to.N)
      store<2>(to.out + row * to.stride + col, Vec<std::uint16_t, 2>{{code(i), code(i + 1)}});
  }
}

template <int width>
DSV3_KERNEL_ALONE(threads)
tile_each(DSV3_GRID_CONSTANT TensorMap a, DSV3_GRID_CONSTANT TensorMap b, DSV3_GRID_CONSTANT Result to) {
  using S = Stages<width>;
  const TilePlace place = place_of(block(), {ceil_div(to.M, tile_rows), ceil_div(to.N, width)});
  const int row = place.row * tile_rows, col = place.col * width;
  if (thread() == 0) {
    for (int i = 0; i < S::count; ++i) S::full(i).init(1);
    fence_barriers();
    for (int step = 0; step < S::count - 1 && step < to.steps; ++step) fill<width>(a, b, row, col, step);
  }
  sync_threads();
  float d[width / 2];  // begun by the first product: set here, they would make all products wait for each other
  for (int step = 0; step < to.steps; ++step) {
    S::full(step).wait(S::parity(step));
    begin_products<width>(d, step);
    mma_wait<1>();   // the step before is done in this warpgroup,
    sync_threads();  // and in the other
    if (const int ahead = step + S::count - 1; thread() == 0 && ahead < to.steps) fill<width>(a, b, row, col, ahead);
  }
  mma_wait<0>();
  mma_fence(d);
  store_sums<width>(to, d, row, col);
}

void require_rows(const Bf16Rows& x, const char* where, const char* name) {
  require(x.rows >= 0 && x.cols >= 0, where, name, " is [", x.rows, ", ", x.cols, "]");
  require(x.stride % 8 == 0 && x.stride >= x.cols, where, "the rows of ", name, " are ", x.stride,
          " values apart; needed is a multiple of 8 that holds ", x.cols);
  require(reinterpret_cast<std::uintptr_t>(x.data) % 16 == 0, where, name, " does not begin at a multiple of 16 bytes");
}

void require_product(const Bf16Gemm& g, const char* where) {
  require_rows(g.a, where, "a");
  require_rows(g.b, where, "b");
  require(g.a.cols == g.b.cols, where, "a has ", g.a.cols, " columns and b ", g.b.cols, "; they are summed over");
  require(g.b.rows % 2 == 0 && g.out_stride % 2 == 0 && g.out_stride >= g.b.rows, where, "out has ", g.b.rows,
          " columns, its rows are ", g.out_stride, " values apart; both must be even, the second not the smaller");
  require(reinterpret_cast<std::uintptr_t>(g.out) % 4 == 0, where, "out does not begin at a multiple of 4 bytes");
}

/// Of an empty matrix there is none, and the kernel looks at none.
TensorMap map_of(const Bf16Rows& x, int box_rows) {
  return x.cols == 0 ? TensorMap{} : tensor_map(x.data, x.rows, x.cols, x.stride, box_rows);
}

template <int width>
void run(const Bf16Gemm& g, Stream stream) {
  const Result to{g.a.rows, g.b.rows, ceil_div(g.a.cols, step_values), g.out, g.out_stride};
  launch(tile_each<width>,
         {.x = ceil_div(to.M, tile_rows) * ceil_div(to.N, width),
          .threads = threads,
          .shared_bytes = Stages<width>::all_bytes,
          .stream = stream},
         map_of(g.a, tile_rows), map_of(g.b, width), to);
}

}  // namespace

void gemm(const Bf16Gemm& g, Stream stream) {
  require_product(g, "gemm");
  if (g.a.rows == 0 || g.b.rows == 0) return;
  const int wide_tiles = ceil_div(g.a.rows, tile_rows) * ceil_div(g.b.rows, 256);
  if (g.b.rows > 128 && wide_tiles >= device().multiprocessors) run<256>(g, stream);
  else run<128>(g, stream);
}

}  // namespace dsv3::cuda
