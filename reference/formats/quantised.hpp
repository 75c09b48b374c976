// SPDX-License-Identifier: MIT
/// \file
/// A matrix of eight-bit codes with one scale for each group of them (report section 3.3.2, Figure 7).
#pragma once
#include <Eigen/Core>
#include <cstdint>

#include "reference/core/real.hpp"

namespace dsv3 {

using Codes = Eigen::Matrix<std::uint8_t, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Scales = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Neighbouring elements that share a scale; those at the right and lower edge may be fewer.
struct Groups {
  Index rows = 1, cols = 128;
  friend bool operator==(const Groups&, const Groups&) = default;
};

inline constexpr Groups tile_1x128{1, 128};      ///< activations and gradients in Fprop and Dgrad
inline constexpr Groups tile_128x1{128, 1};      ///< activations and gradients in Wgrad, where tokens are summed over
inline constexpr Groups block_128x128{128, 128};  ///< weights

}  // namespace dsv3
