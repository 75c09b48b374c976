// SPDX-License-Identifier: MIT
/// \file
/// Reads safetensors files: a header length (u64), a JSON header {name: {dtype, shape, data_offsets}}, the tensors.
///
/// A file is hostile until checked. All checks run before anything is allocated by its numbers: header length (at most
/// 100 MB), strict JSON without duplicate keys, known dtypes, sizes that equal shape times dtype without overflow, and
/// tensors that cover the data exactly: no overlap, no hole, nothing outside. Errors are std::runtime_error and name
/// the file and the tensor.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "reference/checkpoint/dtype.hpp"
#include "reference/checkpoint/mapped_file.hpp"
#include "reference/core/matrix.hpp"

namespace dsv3 {

/// A tensor in a file, without a copy; valid while the file is open.
struct TensorView {
  Dtype dtype = Dtype::f32;
  std::vector<Index> shape;  ///< empty: one value
  std::span<const std::byte> bytes;
  std::string where;  ///< "FILE: tensor NAME", for messages
};

/// What the header says.
struct SafetensorsContents {
  std::map<std::string, TensorView> tensors;
  std::map<std::string, std::string> metadata;  ///< of "__metadata__"
};

/// The contents of a file that is in memory; the views point into `file`.
SafetensorsContents parse_safetensors(std::span<const std::byte> file, const std::string& where);

struct Safetensors {
  MappedFile file;
  SafetensorsContents contents;
};

Safetensors open_safetensors(const std::filesystem::path& path);

/// Rows and columns as a Matrix holds them: [] is [1, 1], [n] is [1, n]. Throws for three dimensions or more.
Shape matrix_shape(const TensorView& view);

/// Rows first .. first+count-1 of a two-dimensional tensor. Throws std::invalid_argument where it has no such rows.
TensorView rows_of(const TensorView& view, Index first, Index count);

/// F32, BF16, F16 or F64 as `real` (see values_from_bytes). Throws std::runtime_error for other types.
Matrix to_matrix(const TensorView& view);

/// Throws std::runtime_error "WHERE: is inf at (2, 3)" for the first value that is not finite; row 0 of `m` is called
/// `first_row`.
void require_finite(const Matrix& m, const std::string& where, Index first_row = 0);

/// I64, I32, U8 or BOOL, row by row. Throws std::runtime_error for other types.
std::vector<std::int64_t> to_integers(const TensorView& view);

std::string shape_text(const std::vector<Index>& shape);  ///< "[2, 3]"

}  // namespace dsv3
