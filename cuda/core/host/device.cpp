// SPDX-License-Identifier: MIT
#include "cuda/core/device.hpp"

#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

namespace dsv3::cuda {
namespace {

// Around every allocation: what is written there was written beside it.
constexpr std::size_t guard_bytes = 256;
constexpr int guard = 0xA5;

bool is_untouched(const std::byte* from) {
  for (std::size_t i = 0; i < guard_bytes; ++i)
    if (from[i] != std::byte{guard}) return false;
  return true;
}

}  // namespace

std::string why_not() { return ""; }

const Device& device() {
  static const Device played{"the CPU, thread by thread", 4, 9, 0, true};
  return played;
}

void synchronise() {}

Memory::Memory(std::size_t bytes) : bytes_(bytes) {
  const std::size_t whole = (bytes + 2 * guard_bytes + 255) / 256 * 256;
  auto* const all = static_cast<std::byte*>(std::aligned_alloc(256, whole));
  if (all == nullptr) throw std::bad_alloc();
  std::memset(all, guard, whole);
  data_ = all + guard_bytes;
}

Memory::~Memory() {
  if (data_ == nullptr) return;
  std::byte* const from = static_cast<std::byte*>(data_);
  if (!is_untouched(from - guard_bytes) || !is_untouched(from + bytes_)) std::abort();  // no test may pass after this
  std::free(from - guard_bytes);
}

void Memory::fill(int byte) { std::memset(data_, byte, bytes_); }
void Memory::copy_from(const void* host) {
  if (bytes_ > 0) std::memcpy(data_, host, bytes_);
}
void Memory::copy_to(void* host) const {
  if (bytes_ > 0) std::memcpy(host, data_, bytes_);
}

}  // namespace dsv3::cuda
