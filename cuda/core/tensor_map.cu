// SPDX-License-Identifier: MIT
#include "cuda/core/tensor_map.hpp"

#include <cuda.h>

#include <cstring>
#include <type_traits>

#include "cuda/core/check.hpp"
#include "cuda/core/swizzle.hpp"

namespace dsv3::cuda {
namespace {

/// The driver's function, without linking against a driver that need not be there.
auto encoder() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  DSV3_CUDA_CHECK(
      cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found));
  if (found != cudaDriverEntryPointSuccess) throw std::runtime_error("tensor_map: the driver has no tensor maps");
  return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
}

template <class T>
TensorMap map_of(const T* data, std::int64_t rows, std::int64_t cols, std::int64_t stride, int box_rows) {
  static const auto encode = encoder();
  const auto type = sizeof(T) == 1 ? CU_TENSOR_MAP_DATA_TYPE_UINT8 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(cols), static_cast<cuuint64_t>(rows)};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(stride) * sizeof(T)};
  const cuuint32_t box[] = {swizzle_bytes / sizeof(T), static_cast<cuuint32_t>(box_rows)}, steps[] = {1, 1};
  CUtensorMap map;
  const CUresult status =
      encode(&map, type, 2, const_cast<T*>(data), sizes, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
             CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status != CUDA_SUCCESS)
    throw std::invalid_argument("tensor_map: " + std::to_string(rows) + " rows of " + std::to_string(cols) +
                                " values, one each " + std::to_string(stride) + ", in boxes of " +
                                std::to_string(box_rows) + " rows: the driver refuses (" + std::to_string(status) +
                                "); address and bytes from row to row must be multiples of 16");
  TensorMap result;
  static_assert(sizeof result == sizeof map);
  std::memcpy(&result, &map, sizeof map);
  return result;
}

}  // namespace

TensorMap tensor_map(const std::uint8_t* data, std::int64_t rows, std::int64_t cols, std::int64_t stride,
                     int box_rows) {
  return map_of(data, rows, cols, stride, box_rows);
}
TensorMap tensor_map(const std::uint16_t* data, std::int64_t rows, std::int64_t cols, std::int64_t stride,
                     int box_rows) {
  return map_of(data, rows, cols, stride, box_rows);
}

}  // namespace dsv3::cuda
