// SPDX-License-Identifier: MIT
/// \file
/// Dot products that find out how a tensor core adds up: random and adversarial ones in classes, and what the
/// bit-faithful model says of them.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "reference/core/random.hpp"
#include "reference/formats/format.hpp"

namespace dsv3::test {

inline constexpr Index dot_rows = 64, dot_cols = 16, dot_step = 32;
inline constexpr Index dots_of_tile = dot_rows * dot_cols;

/// 64 x 16 dot products: element (i, j) is c + the products of row i of a and row j of b, 32 at a time.
struct DotTile {
  FormatId format;
  Index steps;
  std::vector<std::uint8_t> a, b;  ///< [64, 32 steps], [16, 32 steps]
  std::vector<float> c;            ///< [64, 16]

  Index depth() const { return steps * dot_step; }
  std::span<const std::uint8_t> a_row(Index i) const { return {a.data() + i * depth(), a.data() + (i + 1) * depth()}; }
  std::span<const std::uint8_t> b_row(Index j) const { return {b.data() + j * depth(), b.data() + (j + 1) * depth()}; }
};

/// What the codes are, and what the register holds before.
enum class DotCodes { normal, any_finite, subnormal, cancelling, wide, one_sign, special };
enum class DotRegister { zero, like_the_sum, minus_the_sum, wide, larger, smaller, at_the_cut, special };

struct DotClass {
  std::string_view name;
  DotCodes codes;
  DotRegister c;
  Index steps = 1;
  Index share = 8;  ///< of the tiles that a run gives a class, in eighths; at least one tile
};

/// Each is drawn in E4M3 and in E5M2.
std::span<const DotClass> dot_classes();

DotTile draw_tile(const DotClass& of, FormatId format, Random& random);

/// tensor_core_step(hopper_fp8_wgmma) step after step, from c(i, j) on.
float modelled(const DotTile& tile, Index i, Index j);
/// The same of all elements, row by row.
std::vector<float> modelled(const DotTile& tile);

/// Bits, all NaN being one.
bool agree(float x, float y);

}  // namespace dsv3::test
