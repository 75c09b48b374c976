// SPDX-License-Identifier: MIT
/// \file
/// The words kernels are written in. nvcc gives them the device's meaning; a C++ compiler the meaning that
/// host/block.hpp plays, so that the same kernels run, thread by thread, on a machine without a GPU.
#pragma once
#include <cstddef>
#include <cstdint>

#ifdef __CUDACC__

#define DSV3_KERNEL(threads) __global__ void __launch_bounds__(threads)
#define DSV3_KERNEL_ALONE(threads) \
  __global__ void __launch_bounds__(threads, 1)  // on its multiprocessor: it may
                                                 // move registers between warpgroups
#define DSV3_DEVICE __device__ __forceinline__
#define DSV3_INSTRUCTION __device__ __forceinline__  // on the host a function of core/host
#define DSV3_BOTH __host__ __device__ constexpr
#define DSV3_GRID_CONSTANT const __grid_constant__
#define DSV3_UNROLL _Pragma("unroll")  // before a loop over an array that must stay in registers

namespace dsv3::cuda {

DSV3_DEVICE int thread() { return static_cast<int>(threadIdx.x); }
DSV3_DEVICE int num_threads() { return static_cast<int>(blockDim.x); }
DSV3_DEVICE int block() { return static_cast<int>(blockIdx.x); }
DSV3_DEVICE int block_y() { return static_cast<int>(blockIdx.y); }
DSV3_DEVICE int num_blocks() { return static_cast<int>(gridDim.x); }

DSV3_DEVICE void sync_threads() { __syncthreads(); }
DSV3_DEVICE void sync_warp() { __syncwarp(); }
/// The first `threads` threads to come wait for each other; `barrier` in 1 .. 15.
DSV3_DEVICE void sync_some(int barrier, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}
/// Whole warps alone.
template <class T>
DSV3_DEVICE T shuffle_xor(T value, int mask) {
  return __shfl_xor_sync(0xFFFFFFFFu, value, mask);
}
template <class T>
DSV3_DEVICE T shuffle(T value, int lane) {
  return __shfl_sync(0xFFFFFFFFu, value, lane);
}

/// Dynamic shared memory, from a multiple of 1024 bytes on, as 128-byte swizzles need it.
DSV3_DEVICE std::byte* shared_memory() {
  extern __shared__ __align__(1024) std::byte all_shared_memory[];
  return all_shared_memory;
}

}  // namespace dsv3::cuda

#else

#include "cuda/core/host/block.hpp"

#define DSV3_KERNEL(threads) void
#define DSV3_KERNEL_ALONE(threads) void
#define DSV3_DEVICE inline
#define DSV3_INSTRUCTION
#define DSV3_BOTH constexpr
#define DSV3_GRID_CONSTANT const
#define DSV3_UNROLL

#endif

namespace dsv3::cuda {

inline constexpr int warp_size = 32, warpgroup_size = 128;

DSV3_DEVICE int lane() { return thread() % warp_size; }
DSV3_DEVICE int warp() { return thread() / warp_size; }

/// The largest of `lanes` neighbouring lanes' values, in every lane.
template <class T>
DSV3_DEVICE T warp_max(T value, int lanes = warp_size) {
  for (int mask = lanes / 2; mask > 0; mask /= 2) {
    const T other = shuffle_xor(value, mask);
    value = other > value ? other : value;
  }
  return value;
}

/// The sum over `lanes` neighbouring lanes, in every lane: pairs, then pairs of pairs.
DSV3_DEVICE float warp_sum(float value, int lanes = warp_size) {
  for (int mask = 1; mask < lanes; mask *= 2) value += shuffle_xor(value, mask);
  return value;
}

template <class T>
DSV3_BOTH T ceil_div(T a, T b) {
  return (a + b - 1) / b;
}

/// As many neighbouring values as one instruction moves. The address is a multiple of their bytes.
template <class T, int n>
struct alignas(sizeof(T) * n) Vec {
  T at[n];
};

template <int n, class T>
DSV3_DEVICE Vec<T, n> load(const T* from) {
  return *reinterpret_cast<const Vec<T, n>*>(from);
}
template <int n, class T>
DSV3_DEVICE void store(T* to, const Vec<T, n>& values) {
  *reinterpret_cast<Vec<T, n>*>(to) = values;
}

}  // namespace dsv3::cuda
