// SPDX-License-Identifier: MIT
/// \file
/// What the system's memory is to this process (Linux).
#pragma once
#include <cstddef>

namespace dsv3 {

struct ResidentMemory {
  std::size_t now = 0, peak = 0;  ///< bytes in memory; 0 where the system does not say
  std::size_t files = 0;          ///< of `now`, pages of files: the program's code and what it maps
};

ResidentMemory resident_memory();

/// Bytes of memory in this machine; 0 where the system does not say.
std::size_t physical_memory();

/// Gives free memory back to the system and lets the peak begin anew from what is then left.
void reset_peak_memory();

/// Freed memory stays with the process from now on, instead of going back to the system page by page. A training step
/// frees and needs the same matrices again and again: with fresh pages it is a tenth slower. All threads share one
/// heap: with a heap each, every one of them would keep what its thread once needed.
void keep_freed_memory();

/// Lets the next `bytes` that are allocated lie in pages of 2 MB, where that is so much that pages of 4 KB slow down
/// every pass over them: looking up their addresses, and prefetching that ends with each. Needs keep_freed_memory();
/// where the system has no such pages, nothing changes.
void expect_large_tensors(std::size_t bytes);

}  // namespace dsv3
