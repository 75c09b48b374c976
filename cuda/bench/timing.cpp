// SPDX-License-Identifier: MIT
#include "cuda/bench/timing.hpp"

#include "cuda/core/check.hpp"

namespace dsv3::cuda::bench {
namespace {

constexpr std::size_t flush_bytes = std::size_t{512} << 20;  // about 0.2 ms and ten times the L2 cache

}  // namespace

StopWatch::StopWatch() : flush_(flush_bytes) {
  DSV3_CUDA_CHECK(cudaEventCreate(&start_));
  DSV3_CUDA_CHECK(cudaEventCreate(&stop_));
}

StopWatch::~StopWatch() {
  cudaEventDestroy(start_);
  cudaEventDestroy(stop_);
}

double StopWatch::seconds(const std::function<void()>& call) {
  DSV3_CUDA_CHECK(cudaMemsetAsync(flush_.data(), 0x5A, flush_.bytes(), nullptr));
  DSV3_CUDA_CHECK(cudaEventRecord(start_, nullptr));
  call();
  DSV3_CUDA_CHECK(cudaEventRecord(stop_, nullptr));
  DSV3_CUDA_CHECK(cudaEventSynchronize(stop_));
  float milliseconds = 0;
  DSV3_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, start_, stop_));
  return 1e-3 * static_cast<double>(milliseconds);
}

std::vector<std::vector<double>> interleaved(StopWatch& watch, const std::vector<std::function<void()>>& calls,
                                             int rounds) {
  std::vector<std::vector<double>> seconds(calls.size());
  for (const auto& call : calls) watch.seconds(call);
  for (int round = 0; round < rounds; ++round)
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const std::size_t turn = round % 2 == 0 ? i : calls.size() - 1 - i;
      seconds[turn].push_back(watch.seconds(calls[turn]));
    }
  return seconds;
}

}  // namespace dsv3::cuda::bench
