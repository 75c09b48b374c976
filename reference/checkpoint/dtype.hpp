// SPDX-License-Identifier: MIT
/// \file
/// The element types of a safetensors file and their values as `real`.
#pragma once
#include <cstddef>
#include <optional>
#include <string_view>

#include "reference/core/real.hpp"

namespace dsv3 {

enum class Dtype { f64, f32, f16, bf16, f8_e4m3, f8_e5m2, i64, i32, u8, boolean };

std::string_view name(Dtype dtype);  ///< as the file spells it: "F64", "BF16", "F8_E4M3", "BOOL", ...
std::optional<Dtype> dtype_by_name(std::string_view name);
Index element_bytes(Dtype dtype);

/// F64, F32, F16 and BF16: the types whose codes are values of their own. FP8 needs a scale.
bool is_plain_float(Dtype dtype);

/// `count` elements of a plain float type, little-endian and at any alignment, as `real`: exact where `real` can hold
/// the value, else (F64 in the float library) rounded to nearest.
void values_from_bytes(Dtype dtype, const std::byte* bytes, Index count, real* values);

/// The other way, for F64, F32 and BF16: rounded to nearest, ties to even; beyond the largest value, infinity. BF16 is
/// rounded from FP32.
void bytes_from_values(Dtype dtype, const real* values, Index count, std::byte* bytes);

}  // namespace dsv3
