// SPDX-License-Identifier: MIT
#include "tests/support/dot_products.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "reference/core/threads.hpp"
#include "reference/linear/tensor_core.hpp"

namespace dsv3::test {
namespace {

using enum DotCodes;
constexpr DotClass classes[] = {
    {"c = 0, normal values", normal, DotRegister::zero},
    {"c = 0, any finite code", any_finite, DotRegister::zero},
    {"c = 0, subnormals", subnormal, DotRegister::zero},
    {"c = 0, cancellation", cancelling, DotRegister::zero},
    {"c = 0, wide exponents", wide, DotRegister::zero},
    {"c like the sum, normal values", normal, DotRegister::like_the_sum},
    {"c like the sum, any finite code", any_finite, DotRegister::like_the_sum},
    {"c like the sum, subnormals", subnormal, DotRegister::like_the_sum},
    {"c minus the sum, normal values", normal, DotRegister::minus_the_sum},
    {"c minus the sum, wide exponents", wide, DotRegister::minus_the_sum},
    {"c of any exponent, normal values", normal, DotRegister::wide},
    {"c of any exponent, cancellation", cancelling, DotRegister::wide},
    {"c much larger than the products", normal, DotRegister::larger},
    {"c much smaller than the products", normal, DotRegister::smaller},
    {"c with bits at the cut, one product's exponent", one_sign, DotRegister::at_the_cut},
    {"c with bits at the cut, cancellation", cancelling, DotRegister::at_the_cut},
    {"NaN and infinity in the codes", special, DotRegister::like_the_sum},
    {"NaN and infinity in c", normal, DotRegister::special},
    {"chain of 4, normal values", normal, DotRegister::zero, 4, 4},
    {"chain of 4, any finite code, c like the sum", any_finite, DotRegister::like_the_sum, 4, 4},
    {"chain of 4, cancellation", cancelling, DotRegister::zero, 4, 4},
    {"chain of 16, wide exponents", wide, DotRegister::zero, 16, 2},
    {"chain of 64, one sign", one_sign, DotRegister::zero, 64, 1},
    {"chain of 512, normal values", normal, DotRegister::zero, 512, 0},
    {"chain of 512, one sign", one_sign, DotRegister::zero, 512, 0},
};

std::uint8_t with_sign(std::uint32_t magnitude, Random& random) {
  return static_cast<std::uint8_t>(magnitude | (random.below(2) != 0 ? 0x80u : 0u));
}

/// One code alone; cancelling ones come in pairs: cancel().
std::uint8_t draw_code(DotCodes kind, FormatId id, Random& random) {
  const Format& f = format(id);
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random.below(n)); };
  switch (kind) {
    case normal:
      return static_cast<std::uint8_t>(encode(id, static_cast<float>(random.normal())));
    case any_finite:
    case cancelling:
      return with_sign(below(f.largest_code() + 1), random);
    case subnormal:  // and, one in eight, the next larger binades
      return with_sign(below((random.below(8) == 0 ? 4u : 1u) << f.fraction_bits), random);
    case wide:  // the exponent at one of the two ends, or anywhere
      switch (random.below(3)) {
        case 0:
          return with_sign(below(2u << f.fraction_bits), random);
        case 1:
          return with_sign(f.largest_code() - below(2u << f.fraction_bits), random);
        default:
          return with_sign(below(f.largest_code() + 1), random);
      }
    case one_sign:
      return static_cast<std::uint8_t>(encode(id, 1.0f) | below(1u << f.fraction_bits));
    case special:
      return random.below(200) == 0 ? with_sign(f.largest_code() + 1 + below(0x7F - f.largest_code()), random)
                                    : with_sign(below(f.largest_code() + 1), random);
  }
  return 0;
}

/// Codes of one row. Cancelling ones: the second half of every step is the first, in a with the other sign, one code in
/// 16 being its neighbour.
std::vector<std::uint8_t> draw_row(DotCodes kind, FormatId id, Index depth, bool negated, Random& random) {
  std::vector<std::uint8_t> row(static_cast<std::size_t>(depth));
  for (std::size_t k = 0; k < row.size(); ++k) {
    const bool mirrors = kind == cancelling && k % dot_step >= dot_step / 2;
    if (!mirrors) row[k] = draw_code(kind, id, random);
    else row[k] = static_cast<std::uint8_t>(row[k - dot_step / 2] ^ (negated ? 0x80 : 0) ^ (random.below(16) == 0));
  }
  return row;
}

Factors factors(std::vector<float>& values, std::span<const std::uint8_t> codes, FormatId id) {
  for (const std::uint8_t code : codes) values.push_back(values_of(id)[code]);
  return {values, format(id).min_exponent()};
}

/// c + the products of row i and row j, as the model has it.
float sum_from(float c, const DotTile& tile, Index i, Index j) {
  std::vector<float> a_values, b_values;
  const Factors a = factors(a_values, tile.a_row(i), tile.format), b = factors(b_values, tile.b_row(j), tile.format);
  for (std::size_t k = 0; k < a.values.size(); k += dot_step)
    c = tensor_core_step(hopper_fp8_wgmma, c, {a.values.subspan(k, dot_step), a.min_exponent},
                         {b.values.subspan(k, dot_step), b.min_exponent});
  return c;
}

/// The largest exponent of the products' significands, the least there is where all are zeros: what step 4 of the model
/// aligns to.
int exponent_of_products(const DotTile& tile, Index i, Index j) {
  const int least = format(tile.format).min_exponent();
  int E = 2 * least;
  for (std::size_t k = 0; k < tile.a_row(i).size(); ++k) {
    const float x = values_of(tile.format)[tile.a_row(i)[k]], y = values_of(tile.format)[tile.b_row(j)[k]];
    if (std::isfinite(x) && std::isfinite(y) && x * y != 0)
      E = std::max(E, std::max(std::ilogb(x), least) + std::max(std::ilogb(y), least));
  }
  return E;
}

/// A number of 24 bits and either sign in the binade of 2^exponent.
float in_binade(int exponent, Random& random) {
  const float magnitude = std::ldexp(1 + static_cast<float>(random.below(1 << 23)) * 0x1p-23f, exponent);
  return random.below(2) != 0 ? -magnitude : magnitude;
}

float draw_register(DotRegister kind, const DotTile& tile, Index i, Index j, Random& random) {
  const auto within = [&](int first, int last) { return first + static_cast<int>(random.below(last - first + 1)); };
  const int E = exponent_of_products(tile, i, j);
  switch (kind) {
    case DotRegister::zero:
      return 0;
    case DotRegister::like_the_sum:
      return in_binade(E + within(-3, 6), random);
    case DotRegister::minus_the_sum: {  // exactly, or next to it
      const float sum = -sum_from(0, tile, i, j);
      const auto bits = std::bit_cast<std::uint32_t>(sum) ^ static_cast<std::uint32_t>(random.below(2));
      return sum == 0 ? 0 : std::bit_cast<float>(bits);
    }
    case DotRegister::wide:
      return in_binade(within(-60, 60), random);
    case DotRegister::larger:
      return in_binade(E + within(7, 16), random);
    case DotRegister::smaller:
      return in_binade(E - within(8, 16), random);
    case DotRegister::at_the_cut: {  // units of 2^-14 of the largest product: half of what is kept
      const float units = static_cast<float>(within(-(1 << 15), 1 << 15));
      return std::ldexp(units, E - hopper_fp8_wgmma.fraction_bits - 1);
    }
    case DotRegister::special: {
      constexpr float infinity = std::numeric_limits<float>::infinity();
      constexpr std::array all{infinity, -infinity, std::numeric_limits<float>::quiet_NaN(), -0.0f};
      return all[static_cast<std::size_t>(random.below(4))];
    }
  }
  return 0;
}

}  // namespace

std::span<const DotClass> dot_classes() { return classes; }

DotTile draw_tile(const DotClass& of, FormatId format, Random& random) {
  DotTile tile{format, of.steps, {}, {}, std::vector<float>(dots_of_tile)};
  const auto append_rows = [&](std::vector<std::uint8_t>& all, Index count, bool negated) {
    for (Index i = 0; i < count; ++i) {
      const auto row = draw_row(of.codes, format, tile.depth(), negated, random);
      all.insert(all.end(), row.begin(), row.end());
    }
  };
  append_rows(tile.a, dot_rows, true);
  append_rows(tile.b, dot_cols, false);
  for (Index i = 0; i < dot_rows; ++i)
    for (Index j = 0; j < dot_cols; ++j) tile.c[i * dot_cols + j] = draw_register(of.c, tile, i, j, random);
  return tile;
}

float modelled(const DotTile& tile, Index i, Index j) { return sum_from(tile.c[i * dot_cols + j], tile, i, j); }

std::vector<float> modelled(const DotTile& tile) {
  std::vector<float> d(dots_of_tile);
  parallel_for(dot_rows, [&](Index i) {
    for (Index j = 0; j < dot_cols; ++j) d[i * dot_cols + j] = modelled(tile, i, j);
  });
  return d;
}

bool agree(float x, float y) {
  return std::isnan(x) || std::isnan(y) ? std::isnan(x) && std::isnan(y)
                                        : std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y);
}

}  // namespace dsv3::test
