// SPDX-License-Identifier: MIT
/// \file
/// A device and its memory. The library dsv3_cuda has it from the CUDA runtime; dsv3_cuda_on_host plays it on the CPU,
/// so that tests of kernels are the same text for both.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

struct CUstream_st;

namespace dsv3::cuda {

using Stream = CUstream_st*;  ///< cudaStream_t; null: the default stream

struct Device {
  std::string name;  ///< "the CPU, thread by thread" where it is played
  int multiprocessors;
  int major, minor;  ///< compute capability; 9.0 where it is played
  bool is_played;
};

/// Why no kernel can run here; empty where one can: a device of capability 9.0, or the CPU that plays it.
std::string why_not();
/// The current device. \throws std::runtime_error with why_not() where there is none.
const Device& device();
/// Waits for all that was launched. \throws std::runtime_error with the device's words if any of it failed.
void synchronise();

/// Bytes in the device's memory, from a multiple of 256 on.
class Memory {
 public:
  explicit Memory(std::size_t bytes);
  ~Memory();
  Memory(Memory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Memory& operator=(Memory&& other) noexcept {
    std::swap(data_, other.data_), std::swap(bytes_, other.bytes_);
    return *this;
  }

  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  void fill(int byte);
  void copy_from(const void* host);
  void copy_to(void* host) const;

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// `size()` values in the device's memory. New ones are all bits one: NaN in every format.
template <class T>
class Buffer {
 public:
  explicit Buffer(std::size_t size) : size_(size), memory_(size * sizeof(T)) { memory_.fill(0xFF); }
  explicit Buffer(std::span<const T> host) : size_(host.size()), memory_(host.size_bytes()) {
    memory_.copy_from(host.data());
  }
  explicit Buffer(const std::vector<T>& host) : Buffer(std::span<const T>(host)) {}

  T* data() { return static_cast<T*>(memory_.data()); }
  const T* data() const { return static_cast<const T*>(memory_.data()); }
  std::size_t size() const { return size_; }
  void fill(int byte) { memory_.fill(byte); }
  void copy_from(const std::vector<T>& host) { memory_.copy_from(host.data()); }  ///< size() values
  std::vector<T> to_host() const {
    std::vector<T> host(size_);
    memory_.copy_to(host.data());
    return host;
  }

 private:
  std::size_t size_;
  Memory memory_;
};

}  // namespace dsv3::cuda
