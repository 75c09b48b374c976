// SPDX-License-Identifier: MIT
/// \file
/// What Hopper adds to the language of kernels: barriers that count bytes, copies of tiles (TMA), products of a
/// warpgroup (wgmma). Instructions here; what they do on the CPU that plays the device in host/hopper.cpp.
#pragma once
#include "cuda/core/kernel.cuh"
#include "cuda/core/tensor_map.hpp"

namespace dsv3::cuda {

/// An address as the instructions below take it.
DSV3_DEVICE std::uint32_t shared_address(const void* pointer) {
#ifdef __CUDACC__
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
#else
  return static_cast<std::uint32_t>(static_cast<const std::byte*>(pointer) - shared_memory());
#endif
}

/// In shared memory. A phase is complete when all arrivals have come and all bytes that were announced; phases
/// alternate between parity 0 and 1. A wait for parity 1 on a new barrier does not wait.
struct alignas(8) Barrier {
  std::uint64_t word;

  DSV3_INSTRUCTION void init(int arrivals);  ///< by one thread; then fence_barriers() and sync_threads()
  DSV3_INSTRUCTION void arrive();
  DSV3_INSTRUCTION void arrive_and_expect(int bytes);
  DSV3_INSTRUCTION void wait(int parity);
};

#ifdef __CUDACC__

DSV3_INSTRUCTION void Barrier::init(int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(&word)), "r"(arrivals) : "memory");
}
DSV3_INSTRUCTION void Barrier::arrive() {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(&word)) : "memory");
}
DSV3_INSTRUCTION void Barrier::arrive_and_expect(int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(&word)), "r"(bytes)
               : "memory");
}
DSV3_INSTRUCTION void Barrier::wait(int parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n"
      "}\n" ::"r"(shared_address(&word)),
      "r"(parity)
      : "memory");
}

/// After init: the barriers are seen by the copies as well.
DSV3_DEVICE void fence_barriers() {
  asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;" ::: "memory");
}
/// What threads have written to shared memory is seen by copies and products that begin later.
DSV3_DEVICE void fence_shared_for_async() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

/// A box of the map's matrix, from (row, col) on, to shared memory: as swizzle.hpp says. Its bytes count in `done`;
/// what lies beyond the matrix becomes zeros and counts as well. By one thread.
DSV3_DEVICE void copy_tile(void* shared, const TensorMap& map, int row, int col, Barrier& done) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(
          shared_address(shared)),
      "l"(&map), "r"(col), "r"(row), "r"(shared_address(&done.word))
      : "memory");
}

/// More or fewer registers for each thread of this warpgroup; a multiple of 8. On the CPU nothing.
template <int count>
DSV3_DEVICE void raise_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(count));
}
template <int count>
DSV3_DEVICE void lower_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(count));
}

#else

inline void fence_barriers() {}
inline void fence_shared_for_async() {}
void copy_tile(void* shared, const TensorMap& map, int row, int col, Barrier& done);
template <int count>
void raise_registers() {}
template <int count>
void lower_registers() {}

#endif

}  // namespace dsv3::cuda
