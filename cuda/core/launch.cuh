// SPDX-License-Identifier: MIT
/// \file
/// Starts kernels: on the device, or on the CPU that plays it.
#pragma once
#include "cuda/core/device.hpp"
#include "cuda/core/kernel.cuh"

#ifdef __CUDACC__
#include "cuda/core/check.hpp"
#endif

namespace dsv3::cuda {

struct Launch {
  int x = 1, y = 1;  ///< blocks
  int threads = 128;
  std::size_t shared_bytes = 0;
  Stream stream = nullptr;
};

/// kernel(arguments...) in every thread; nothing happens where there is no block.
/// \throws std::runtime_error where the device refuses.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const Launch& how, const Arguments&... arguments) {
  if (how.x == 0 || how.y == 0) return;
#ifdef __CUDACC__
  constexpr std::size_t without_asking = 48 * 1024;
  if (how.shared_bytes > without_asking)
    DSV3_CUDA_CHECK(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(how.shared_bytes)));
  const dim3 grid(static_cast<unsigned>(how.x), static_cast<unsigned>(how.y));
  kernel<<<grid, static_cast<unsigned>(how.threads), how.shared_bytes, how.stream>>>(arguments...);
  DSV3_CUDA_CHECK(cudaGetLastError());
#else
  host::run({how.x, how.y, how.threads, how.shared_bytes}, [&] { kernel(arguments...); });
#endif
}

}  // namespace dsv3::cuda
