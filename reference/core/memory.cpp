// SPDX-License-Identifier: MIT
#include "reference/core/memory.hpp"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>

namespace dsv3 {

ResidentMemory resident_memory() {
  ResidentMemory memory;
  std::ifstream status("/proc/self/status");  // lines such as "VmHWM:	   12345 kB"
  for (std::string key; status >> key;) {
    std::size_t kilobytes = 0;
    if (key == "VmHWM:" && status >> kilobytes) memory.peak = kilobytes * 1024;
    if (key == "VmRSS:" && status >> kilobytes) memory.now = kilobytes * 1024;
    if (key == "RssFile:" && status >> kilobytes) memory.files = kilobytes * 1024;
    std::getline(status, key);
  }
  return memory;
}

std::size_t physical_memory() {
  const long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
  return pages > 0 && bytes > 0 ? static_cast<std::size_t>(pages) * static_cast<std::size_t>(bytes) : 0;
}

void reset_peak_memory() {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";  // proc(5): resets VmHWM to the present value
}

void keep_freed_memory() {
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
}

void expect_large_tensors(std::size_t bytes) {
  constexpr std::size_t page = 2 << 20, least = 16 * page;
  if (bytes < least) return;
  void* const space = std::malloc(bytes);  // the heap grows by it and keeps it
  const std::uintptr_t begin = (reinterpret_cast<std::uintptr_t>(space) + page - 1) / page * page;
  if (space) madvise(reinterpret_cast<void*>(begin), bytes - page, MADV_HUGEPAGE);
  std::free(space);
}

}  // namespace dsv3
