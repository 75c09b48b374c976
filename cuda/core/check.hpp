// SPDX-License-Identifier: MIT
/// \file
/// The one way to call the CUDA runtime.
#pragma once
#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

/// Throws std::runtime_error with the call, its place and the runtime's words unless it succeeds.
#define DSV3_CUDA_CHECK(call)                                                                             \
  do {                                                                                                    \
    const cudaError_t status = (call);                                                                    \
    if (status != cudaSuccess)                                                                            \
      throw std::runtime_error(std::string(__FILE__) + ":" + std::to_string(__LINE__) + ": " #call ": " + \
                               cudaGetErrorString(status));                                               \
  } while (false)
