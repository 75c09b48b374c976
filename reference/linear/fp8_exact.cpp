// SPDX-License-Identifier: MIT
#include <cmath>

#include "reference/linear/fp8_panels.hpp"

namespace dsv3 {

void exact_panel(const Accumulation&, const PanelBlock& block) {
  // Products are multiples of 2^-32 below 2^32: their nearest integers and the rests add up without rounding.
  constexpr double to_integer = 0x1.8p52;
  for (Index r = 0; r < block.rows; ++r) {
    double whole[fp8_panel]{}, fraction[fp8_panel]{};
    for (Index k = 0; k < block.depth; ++k) {
      const double a = block.a.a[r * block.a.step + k * block.a.step_k];
      const float* const b = block.b + k * fp8_panel;
      for (Index j = 0; j < fp8_panel; ++j) {
        const double product = a * b[j], nearest = (product + to_integer) - to_integer;
        whole[j] += nearest;
        fraction[j] += product - nearest;
      }
    }
    for (Index j = 0; j < fp8_panel; ++j) block.sums[r * fp8_panel + j] = round_sum_to_float(whole[j], fraction[j]);
  }
}

}  // namespace dsv3
