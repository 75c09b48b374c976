// SPDX-License-Identifier: MIT
//
// 7168 x 4096 over 8192 tokens: 481 GFLOP, 243 us at 1979 TFLOP/s; 59 MB of a, 34 MB of b, 117 MB of dW read and
// written: 109 us at 3.0 TB/s. The kernel of the dense product with a scale for each row of b, and FP32 added to where
// BF16 was written. Experts differ in their tokens, so in their steps along K, and each has a dW of its own.
#include "cuda/linear/fp8_checks.hpp"
#include "cuda/linear/fp8_problem.cuh"

namespace dsv3::cuda {
namespace {

void run(const Fp8Wgrad& w, int num_experts, const int* begin, Stream stream) {
  const int multiprocessors = device().multiprocessors, width = 128;  // 160 columns' scales do not fit the registers
  const DepthSchedule schedule{w.M, w.N, w.K, width, num_experts, begin};
  if (schedule.count() == 0 || w.K == 0) return;
  launch_ring({w.a.codes, w.b.codes, w.a.stride, w.b.stride, w.M, w.N, w.K},
              TileScaledProblem{schedule, w.a_scales, w.b_scales, w.out, w.out_stride},
              schedule.count() < multiprocessors ? schedule.count() : multiprocessors, stream);
}

}  // namespace

void fp8_wgrad(const Fp8Wgrad& wgrad, Stream stream) {
  require_wgrad(wgrad, "fp8_wgrad");
  run(wgrad, 1, nullptr, stream);
}

void fp8_wgrad_grouped(const Fp8GroupedWgrad& grouped, Stream stream) {
  require_wgrad(grouped.wgrad, "fp8_wgrad_grouped");
  require_experts(grouped.num_experts, "fp8_wgrad_grouped");
  run(grouped.wgrad, grouped.num_experts, grouped.begin, stream);
}

}  // namespace dsv3::cuda
