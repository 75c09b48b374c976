// SPDX-License-Identifier: MIT
/// \file
/// What an op of the oracle reads and writes: named tensors of any type, owned or somebody else's.
#pragma once
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "reference/checkpoint/dtype.hpp"
#include "reference/core/matrix.hpp"
#include "reference/formats/quantised.hpp"

namespace dsv3::oracle {

/// Elements in row-major order. The bytes are kept alive by `owner`, or by whoever called.
struct Tensor {
  Dtype dtype = Dtype::f32;
  std::vector<Index> shape;  ///< empty: one value
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;

  Index size() const;  ///< elements
};

using Tensors = std::map<std::string, Tensor, std::less<>>;
using Doubles = std::vector<double>;

/// The product of a shape without its last dimension, and that one; [] is 1 x 1.
Shape rows_and_cols(const std::vector<Index>& shape);

/// All elements as doubles, exactly; FP8 codes as the values of their formats, without a scale.
Doubles values(const Tensor& tensor);
/// The distance of neighbouring numbers of a type around x; 1 of whole numbers.
double step(Dtype dtype, double x);
bool is_whole(Dtype dtype);                                ///< I64, I32, U8 or BOOL
std::vector<std::int64_t> integers(const Tensor& tensor);  ///< of I64, I32, U8 or BOOL

/// F32, BF16 or F16 as a matrix, exactly; dimensions before the last are rows.
FloatMatrix float_matrix(const Tensor& tensor);
Codes codes(const Tensor& tensor);  ///< of one byte each
/// Codes of up to 16 bits, from one or two bytes or whole numbers. Throws std::invalid_argument for other numbers.
Codes16 codes16(const Tensor& tensor);

/// Tensors that own a copy. The shape, where given, has as many elements as the matrix.
Tensor tensor(const FloatMatrix& values);
Tensor tensor(const FloatMatrix& values, std::vector<Index> shape);
Tensor tensor(Dtype dtype, const Codes& codes);
Tensor tensor16(Dtype dtype, const Codes16& codes);  ///< BF16 or F16, or whole numbers (I32)
Tensor tensor(const std::vector<std::int64_t>& values, std::vector<Index> shape);
/// Rounded to nearest even: F32 exactly, BF16 and F16 with overflow to infinity.
Tensor rounded(Dtype dtype, const FloatMatrix& values, std::vector<Index> shape);

}  // namespace dsv3::oracle
