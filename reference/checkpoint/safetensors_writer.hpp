// SPDX-License-Identifier: MIT
/// \file
/// Writes safetensors files tensor by tensor: at no time does it hold a second copy of them all.
#pragma once
#include <functional>
#include <map>

#include "reference/checkpoint/safetensors.hpp"

namespace dsv3 {

using ByteSink = std::function<void(std::span<const std::byte>)>;

/// A tensor and a function that hands its bytes, in order and in pieces of any size, to a sink.
struct TensorToWrite {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<Index> shape;
  std::function<void(const ByteSink&)> write;
};

/// A matrix that `make` returns when its turn has come, as F64, F32 or BF16 (see bytes_from_values). `shape` may give
/// it fewer dimensions ([n] for a [1, n]) as long as the number of values is the same.
TensorToWrite made_tensor(std::string name, Dtype dtype, std::vector<Index> shape, std::function<Matrix()> make);

/// The same for a matrix that lives until the file is written; it is not copied.
TensorToWrite matrix_tensor(std::string name, Dtype dtype, const Matrix& values, std::vector<Index> shape);
TensorToWrite matrix_tensor(std::string name, Dtype dtype, const Matrix& values);  ///< [rows, cols]

/// Whole numbers that live until the file is written.
TensorToWrite integer_tensor(std::string name, std::vector<Index> shape, std::span<const std::int64_t> values);
TensorToWrite integer_tensor(std::string name, std::vector<Index> shape, std::span<const std::int32_t> values);

/// Writes the file through AtomicFile: complete or not at all.
///
/// The header lists the tensors in the given order, after "__metadata__", and is padded with spaces so that the data
/// start at a multiple of 8. The bytes of wider types come first, so that every tensor is aligned to its type.
/// Throws std::invalid_argument for a name twice, a name "__metadata__", names or metadata that are not UTF-8 and a
/// shape that does not fit the values; std::runtime_error where the disk fails.
void write_safetensors(const std::filesystem::path& path, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

/// The same bytes into a sink, such as a pipe; what was written before an error stays written.
void write_safetensors(const ByteSink& sink, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace dsv3
