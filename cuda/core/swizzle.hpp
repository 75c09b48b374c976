// SPDX-License-Identifier: MIT
/// \file
/// Where Hopper's copies and products expect the values of a tile in shared memory: index arithmetic alone.
#pragma once
#include <cstdint>

#include "cuda/core/kernel.cuh"

namespace dsv3::cuda {

/// A row of a swizzled tile: as many bytes as an access to all banks.
inline constexpr int swizzle_bytes = 128;

/// Byte `offset` of a tile whose rows have 128 bytes, moved among the eight 16-byte pieces of its row by the number of
/// the row: what CU_TENSOR_MAP_SWIZZLE_128B does. The tile begins at a multiple of 1024.
DSV3_BOTH std::uint32_t swizzled(std::uint32_t offset) { return offset ^ (offset >> 3 & 0x70u); }

/// What wgmma takes for a K-major tile of such rows: its address in units of 16 bytes (bits 0-13), a leading offset
/// that is not used (16-29), 1024 bytes from eight rows to the next eight (32-45), a swizzle of 128 bytes (62-63). PTX
/// ISA, "Matrix descriptor format".
DSV3_BOTH std::uint64_t wgmma_descriptor(std::uint32_t shared_address) {
  constexpr std::uint64_t leading = 1, stride = 8 * swizzle_bytes / 16, swizzle_128 = 1;
  return (shared_address & 0x3FFFFu) >> 4 | leading << 16 | stride << 32 | swizzle_128 << 62;
}

/// A step along K inside a row of 128 bytes: the swizzle is of address bits, so that the address alone moves on.
DSV3_BOTH std::uint64_t moved_along_k(std::uint64_t descriptor, int bytes) {
  return descriptor + static_cast<std::uint64_t>(bytes / 16);
}

/// Which element of a 64 x N tile of sums is value i of a thread of the warpgroup: PTX ISA, "Matrix fragments for
/// wgmma.mma_async", D.
DSV3_BOTH int accumulator_row(int thread_of_group, int i) {
  return thread_of_group / 32 * 16 + thread_of_group % 32 / 4 + i / 2 % 2 * 8;
}
DSV3_BOTH int accumulator_col(int thread_of_group, int i) { return i / 4 * 8 + thread_of_group % 4 * 2 + i % 2; }

}  // namespace dsv3::cuda
