// SPDX-License-Identifier: MIT
/// \file
/// Matrices of `real`, row-major: a row is a token, a column a channel.
#pragma once
#include <Eigen/Core>
#include <string>

#include "reference/core/real.hpp"

namespace dsv3 {

using Matrix = Eigen::Matrix<real, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Array = Eigen::Array<real, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// A matrix or a block of rows and columns of one, without a copy.
using ConstView = Eigen::Ref<const Matrix, 0, Eigen::OuterStride<>>;
using View = Eigen::Ref<Matrix, 0, Eigen::OuterStride<>>;

/// Rows and columns without the values: what a model too large for this machine is counted with.
struct Shape {
  Index rows = 0, cols = 0;
  friend bool operator==(const Shape&, const Shape&) = default;
};

inline Shape shape_of(const ConstView& m) { return {m.rows(), m.cols()}; }
inline Index size(const Shape& s) { return s.rows * s.cols; }
inline std::string text(const Shape& s) { return "[" + std::to_string(s.rows) + ", " + std::to_string(s.cols) + "]"; }
inline std::string shape_text(const ConstView& m) { return text(shape_of(m)); }

inline std::size_t bytes(const Matrix& m) { return static_cast<std::size_t>(m.size()) * sizeof(real); }

}  // namespace dsv3
