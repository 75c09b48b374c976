// SPDX-License-Identifier: MIT
//
// For asking, not for speed: a tile of one step reads 2.5 KB of codes and 4 KB of c and writes 4 KB of d. 1024 such
// tiles, a million dot products, move 11 MB: 4 us at 3.0 TB/s; their 67 MFLOP are nothing. A warpgroup takes a tile; of
// each four steps it copies 128 bytes of the rows to shared memory and multiplies them, and the sums stay in its
// registers.
#include "cuda/core/launch.cuh"
#include "cuda/core/wgmma.cuh"
#include "cuda/linear/tensor_core.hpp"
#include "reference/core/require.hpp"

namespace dsv3::cuda {
namespace {

constexpr int steps_in_row = swizzle_bytes / mma_bytes, piece_bytes = 16;
constexpr int a_bytes = probe_rows * swizzle_bytes, b_bytes = probe_cols * swizzle_bytes;

/// `bytes` of each of `rows` rows, one each `stride` bytes, as wgmma reads them.
DSV3_DEVICE void copy_rows(std::byte* tile, const std::uint8_t* from, int rows, int stride, int bytes) {
  const int pieces = bytes / piece_bytes;
  for (int i = thread(); i < rows * pieces; i += warpgroup_size) {
    const int row = i / pieces, at = i % pieces * piece_bytes;
    const std::uint32_t to = swizzled(static_cast<std::uint32_t>(row * swizzle_bytes + at));
    store<piece_bytes>(reinterpret_cast<std::uint8_t*>(tile + to), load<piece_bytes>(from + row * stride + at));
  }
}

template <Mma format>
DSV3_KERNEL(warpgroup_size)
tile_each(DSV3_GRID_CONSTANT WgmmaProbe probe) {
  std::byte *const a_tile = shared_memory(), *const b_tile = a_tile + a_bytes;
  const int stride = probe.steps * mma_bytes;
  const std::int64_t tile = block();
  const std::uint8_t* const a = probe.a + tile * probe_rows * stride;
  const std::uint8_t* const b = probe.b + tile * probe_cols * stride;
  const auto at = [tile](int i) {
    return (tile * probe_rows + accumulator_row(thread(), i)) * probe_cols + accumulator_col(thread(), i);
  };
  float d[probe_cols / 2];
  DSV3_UNROLL
  for (int i = 0; i < probe_cols / 2; ++i) d[i] = probe.c[at(i)];
  for (int step = 0; step < probe.steps; step += steps_in_row) {
    const int left = probe.steps - step, steps = left < steps_in_row ? left : steps_in_row;
    copy_rows(a_tile, a + step * mma_bytes, probe_rows, stride, steps * mma_bytes);
    copy_rows(b_tile, b + step * mma_bytes, probe_cols, stride, steps * mma_bytes);
    fence_shared_for_async();
    sync_threads();
    mma_fence(d);
    mma_begin();
    for (int i = 0; i < steps; ++i)
      mma<format>(d, moved_along_k(wgmma_descriptor(shared_address(a_tile)), i * mma_bytes),
                  moved_along_k(wgmma_descriptor(shared_address(b_tile)), i * mma_bytes), true);
    mma_commit();
    mma_wait<0>();
    mma_fence(d);
    sync_threads();  // before the tiles are overwritten
  }
  DSV3_UNROLL
  for (int i = 0; i < probe_cols / 2; ++i) probe.d[at(i)] = d[i];
}

}  // namespace

void wgmma_steps(const WgmmaProbe& probe, Stream stream) {
  const char* const where = "wgmma_steps";
  require(probe.tiles >= 0 && probe.steps >= 0, where, probe.tiles, " tiles of ", probe.steps,
          " steps; neither may be negative");
  for (const std::uint8_t* codes : {probe.a, probe.b})
    require(reinterpret_cast<std::uintptr_t>(codes) % piece_bytes == 0, where,
            "codes do not begin at a multiple of 16 bytes");
  const Launch how{.x = probe.tiles, .threads = warpgroup_size, .shared_bytes = a_bytes + b_bytes, .stream = stream};
  if (probe.format == ProbeFormat::e4m3) launch(tile_each<Mma::e4m3>, how, probe);
  else launch(tile_each<Mma::e5m2>, how, probe);
}

}  // namespace dsv3::cuda
