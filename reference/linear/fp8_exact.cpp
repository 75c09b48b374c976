// SPDX-License-Identifier: MIT
#include <cstring>

#include "reference/linear/fp8_panels.hpp"

#pragma GCC diagnostic ignored "-Wpsabi"  // wide vectors cross no border of this file

namespace dsv3 {
namespace {

constexpr Index lanes = 4, vectors = 2;
using Floats [[gnu::vector_size(16)]] = float;
using Doubles [[gnu::vector_size(32)]] = double;

/// sums[0 .. lanes * vectors - 1] of one row. Products are multiples of 2^-32 below 2^32: their nearest integers add up
/// without rounding, and so do the rests.
void sum_row(const PanelBlock& block, Index row, Index first) {
  constexpr double to_integer = 0x1.8p52;
  Doubles whole[vectors]{}, fraction[vectors]{};
  const float* a = &block.a.a[row * block.a.step];
  const float* b = block.b + first;
  for (Index k = 0; k < block.depth; ++k, a += block.a.step_k, b += fp8_panel)
    for (Index v = 0; v < vectors; ++v) {
      Floats b_k;
      std::memcpy(&b_k, b + v * lanes, sizeof b_k);
      const Doubles product = __builtin_convertvector(b_k, Doubles) * double{*a};
      const Doubles nearest = (product + to_integer) - to_integer;
      whole[v] += nearest;
      fraction[v] += product - nearest;
    }
  for (Index v = 0; v < vectors; ++v)
    for (Index j = 0; j < lanes; ++j)
      block.sums[row * fp8_panel + first + v * lanes + j] = round_sum_to_float(whole[v][j], fraction[v][j]);
}

}  // namespace

void exact_panel(const Accumulation&, const PanelBlock& block) {
  for (Index row = 0; row < block.rows; ++row)
    for (Index first = 0; first < fp8_panel; first += lanes * vectors) sum_row(block, row, first);
}

}  // namespace dsv3
