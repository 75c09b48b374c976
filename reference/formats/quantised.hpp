// SPDX-License-Identifier: MIT
/// \file
/// A matrix of eight-bit codes with one scale for each group of them (report section 3.3.2, Figure 7).
#pragma once
#include <Eigen/Core>
#include <algorithm>
#include <cstdint>

#include "reference/core/real.hpp"
#include "reference/formats/format.hpp"

namespace dsv3 {

using Codes = Eigen::Matrix<std::uint8_t, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Codes16 = Eigen::Matrix<std::uint16_t, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;  ///< up to 16 bits
using Scales = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// What is quantised, FP32 in both libraries: pass `x.cast<float>()`, which copies only where `real` is double.
using FloatMatrix = Scales;
using FloatView = Eigen::Ref<const FloatMatrix, 0, Eigen::OuterStride<>>;

/// Neighbouring elements that share a scale; those at the right and lower edge may be fewer.
struct Groups {
  Index rows = 1, cols = 128;
  friend bool operator==(const Groups&, const Groups&) = default;
};

inline constexpr Groups tile_1x128{1, 128};       ///< activations and gradients in Fprop and Dgrad
inline constexpr Groups tile_128x1{128, 1};       ///< activations and gradients in Wgrad, where tokens are summed over
inline constexpr Groups block_128x128{128, 128};  ///< weights
inline constexpr Groups block_mx{1, 32};          ///< the blocks of OCP's microscaling formats

constexpr Groups per_row(Index cols) { return {1, std::max<Index>(cols, 1)}; }
constexpr Groups per_tensor(Index rows, Index cols) { return {std::max<Index>(rows, 1), std::max<Index>(cols, 1)}; }

/// How many groups it takes to cover n elements.
constexpr Index num_groups(Index n, Index group) { return n / group + (n % group != 0 ? 1 : 0); }

/// x(i, j) = value(q(i, j)) s(i / groups.rows, j / groups.cols): s is the multiplier that gives x back, as the
/// checkpoint's weight_scale_inv is. s: [ceil(rows / groups.rows), ceil(cols / groups.cols)].
struct Quantised {
  Codes q;
  Scales s;
  Groups groups;
  FormatId format = FormatId::e4m3;
};

/// The same with codes of up to 16 bits: E5M6.
struct Quantised16 {
  Codes16 q;
  Scales s;
  Groups groups;
  FormatId format = FormatId::e5m6;
};

}  // namespace dsv3
