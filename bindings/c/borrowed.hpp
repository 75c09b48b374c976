// SPDX-License-Identifier: MIT
/// \file
/// What a C caller hands over, checked and not copied.
#pragma once
#include "bindings/c/dsv3.h"
#include "reference/oracle/tensor.hpp"

namespace dsv3::bindings {

/// The text, or `otherwise` for NULL. Throws std::invalid_argument "oracle: WHAT is NULL" where there is none.
std::string_view text_of(const char* text, const char* what, const char* otherwise = nullptr);

/// Views of the caller's memory, which must outlive them. Throws std::invalid_argument "WHERE: ..." naming the first
/// tensor that has no name, the name of another, an unknown type, an impossible shape or other than its shape's bytes.
oracle::Tensors borrowed(const dsv3_tensor* tensors, std::int64_t count, const std::string& where);

}  // namespace dsv3::bindings
