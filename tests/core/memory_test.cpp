// SPDX-License-Identifier: MIT
#include "reference/core/memory.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <string>

#include "reference/core/parameters.hpp"
#include "reference/moe/swiglu.hpp"

using namespace dsv3;

namespace {

/// Bytes of this process in pages of 2 MB (Linux).
std::size_t in_large_pages() {
  std::ifstream file("/proc/self/smaps_rollup");
  for (std::string key; file >> key; std::getline(file, key)) {
    std::size_t kilobytes = 0;
    if (key == "AnonHugePages:" && file >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

/// To those who ask, as expect_large_tensors does, and to nobody else.
bool system_gives_large_pages() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string choices;
  return std::getline(file, choices) && choices.find("[madvise]") != std::string::npos;
}

}  // namespace

TEST_CASE("memory: weights of 48 MB lie in large pages, those of 12 KB take none, where the system has them") {
  if (!system_gives_large_pages()) return;
  keep_freed_memory();
  const std::size_t before = in_large_pages();
  const auto small = zeros(swiglu_shapes(32, 32));
  CHECK(in_large_pages() == before);
  const auto large = zeros(swiglu_shapes(1024, 4096));
  CHECK(in_large_pages() > before);  // how many depends on how the memory of the machine is cut up
}
