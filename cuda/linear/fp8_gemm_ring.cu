// SPDX-License-Identifier: MIT
//
// 4096 x 7168 x 16384: 962 GFLOP, 486 us at 1979 TFLOP/s; 67 MB of a, 117 MB of b, 59 MB of out: 81 us at 3.0 TB/s.
// 64 x 7168 x 16384: 15 GFLOP, 8 us; 117 MB of b, 40 us. So large M is bound by the tensor cores, which must not wait
// for copies nor for promotions: ring.cuh. Small M is bound by reading b once, in tiles narrow enough for all
// multiprocessors to read. `ring` has a block of threads for each tile, row by row; `persistent` one for each
// multiprocessor, in the order of place_of, of the width that best_width says.
#include "cuda/linear/fp8_gemm_rungs.hpp"
#include "cuda/linear/fp8_problem.cuh"

namespace dsv3::cuda {
namespace {

void run(const Fp8Gemm& g, const RowSchedule& schedule, int num_blocks, Stream stream) {
  launch_ring({g.a.codes, g.b.codes, g.a.stride, g.b.stride, g.M, g.N, g.K},
              BlockScaledProblem<RowSchedule>{schedule, g.a_scales, g.b_scales, 0, 0, 0, g.out, g.out_stride},
              num_blocks, stream);
}

}  // namespace

void fp8_gemm_ring(const Fp8Gemm& g, Stream stream) {
  RowSchedule schedule = RowSchedule::of(g.M, g.N, g.K, 128);
  schedule.grid.band = 1;
  run(g, schedule, schedule.count(), stream);
}

void fp8_gemm_persistent(const Fp8Gemm& g, Stream stream) {
  const int multiprocessors = device().multiprocessors;
  const RowSchedule schedule = RowSchedule::of(g.M, g.N, g.K, best_width(g.M, g.N, g.K, multiprocessors));
  run(g, schedule, schedule.count() < multiprocessors ? schedule.count() : multiprocessors, stream);
}

}  // namespace dsv3::cuda
