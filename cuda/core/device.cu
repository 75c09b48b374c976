// SPDX-License-Identifier: MIT
#include "cuda/core/device.hpp"

#include "cuda/core/check.hpp"

namespace dsv3::cuda {

std::string why_not() {
  int count = 0;
  if (const cudaError_t status = cudaGetDeviceCount(&count); status != cudaSuccess) return cudaGetErrorString(status);
  if (count == 0) return "no CUDA device";
  int current = 0, major = 0, minor = 0;
  DSV3_CUDA_CHECK(cudaGetDevice(&current));
  DSV3_CUDA_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, current));
  DSV3_CUDA_CHECK(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, current));
  if (major == 9 && minor == 0) return "";
  return "the device has compute capability " + std::to_string(major) + "." + std::to_string(minor) +
         "; the kernels are compiled for 9.0 (Hopper)";
}

const Device& device() {
  static const Device found = [] {
    if (const std::string reason = why_not(); !reason.empty()) throw std::runtime_error("cuda: " + reason);
    int current = 0;
    DSV3_CUDA_CHECK(cudaGetDevice(&current));
    cudaDeviceProp properties{};
    DSV3_CUDA_CHECK(cudaGetDeviceProperties(&properties, current));
    return Device{properties.name, properties.multiProcessorCount, properties.major, properties.minor, false};
  }();
  return found;
}

void synchronise() { DSV3_CUDA_CHECK(cudaDeviceSynchronize()); }

Memory::Memory(std::size_t bytes) : bytes_(bytes) {
  if (bytes > 0) DSV3_CUDA_CHECK(cudaMalloc(&data_, bytes));
}
Memory::~Memory() { cudaFree(data_); }
void Memory::fill(int byte) {
  if (bytes_ > 0) DSV3_CUDA_CHECK(cudaMemset(data_, byte, bytes_));
}
void Memory::copy_from(const void* host) {
  if (bytes_ > 0) DSV3_CUDA_CHECK(cudaMemcpy(data_, host, bytes_, cudaMemcpyHostToDevice));
}
void Memory::copy_to(void* host) const {
  if (bytes_ > 0) DSV3_CUDA_CHECK(cudaMemcpy(host, data_, bytes_, cudaMemcpyDeviceToHost));
}

}  // namespace dsv3::cuda
