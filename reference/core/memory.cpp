// SPDX-License-Identifier: MIT
#include "reference/core/memory.hpp"

#include <malloc.h>
#include <unistd.h>

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

}  // namespace dsv3
