// SPDX-License-Identifier: MIT
/// \file
/// The letters of shapes: "T", "ceil(K/128)", "N_r+1".
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "reference/core/real.hpp"

namespace dsv3::oracle {

using Sizes = std::map<std::string, Index, std::less<>>;
using ShapeText = std::vector<std::string>;  ///< one expression for each dimension

/// The value of an expression of letters, whole numbers, +, - (not below 0), *, ceil(a/b) and brackets. Throws
/// std::logic_error for a letter that has no size and for what is no expression: these are mistakes in an op's
/// description.
Index size_of(std::string_view expression, const Sizes& sizes);
std::vector<Index> shape_of(const ShapeText& shape, const Sizes& sizes);

/// "[T, ceil(K/128)]"
std::string text(const ShapeText& shape);

/// Gives the letters that stand alone the sizes that `found` has, unless they have one. Returns what does not fit, or
/// nothing.
std::string bind(const ShapeText& shape, const std::vector<Index>& found, Sizes& sizes);

}  // namespace dsv3::oracle
