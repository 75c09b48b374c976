// SPDX-License-Identifier: MIT
//
// 4096 x 7168 x 16384: 962 GFLOP and, were every code read once, 243 MB: 81 us at 3.0 TB/s. Here a thread computes one
// element, so a code of a is asked for by 7168 threads and one of b by 4096, a byte at a time: 962 GB of requests, of
// which a warp's 32 lanes share 2 rows of a and 16 of b. Each multiply-add waits for two loads and a conversion; the
// bound is the load units, orders of magnitude above the floor of the tensor cores (486 us at 1979 TFLOP/s). This rung
// is for reading, and for checking the others.
#include <cmath>

#include "cuda/core/bf16.cuh"
#include "cuda/core/fp8.cuh"
#include "cuda/core/launch.cuh"
#include "cuda/linear/fp8_gemm_rungs.hpp"

namespace dsv3::cuda {
namespace {

constexpr int side = 16;  // a block of threads has 16 x 16 elements

/// The sum of `count` products, in FP32, ascending.
DSV3_DEVICE float sum_of(const std::uint8_t* a, const std::uint8_t* b, int count) {
  float p = 0;
  for (int k = 0; k < count; ++k) {
    const Vec<float, 2> pair = values_of_e4m3(static_cast<std::uint16_t>(a[k] | b[k] << 8));
    p = std::fma(pair.at[0], pair.at[1], p);
  }
  return p;
}

DSV3_KERNEL(side* side)
element_each(DSV3_GRID_CONSTANT Fp8Gemm g) {
  const int across = ceil_div(g.N, side);
  const int row = block() / across * side + thread() / side, col = block() % across * side + thread() % side;
  if (row >= g.M || col >= g.N) return;
  const std::uint8_t* const a = g.a.codes + row * g.a.stride;
  const std::uint8_t* const b = g.b.codes + col * g.b.stride;
  float acc = 0;
  for (int k = 0; k < g.K; k += scale_group) {
    const int group = k / scale_group, left = g.K - k;
    const float p = sum_of(a + k, b + k, left < scale_group ? left : scale_group);
    const float s_a = g.a_scales.data[group * g.a_scales.stride + row];
    const float s_b = g.b_scales.data[col / scale_group * g.b_scales.stride + group];
    acc = std::fma(p, s_a * s_b, acc);
  }
  g.out[row * g.out_stride + col] = bf16_of(acc);
}

}  // namespace

void fp8_gemm_naive(const Fp8Gemm& g, Stream stream) {
  launch(element_each, {.x = ceil_div(g.M, side) * ceil_div(g.N, side), .threads = side * side, .stream = stream}, g);
}

}  // namespace dsv3::cuda
