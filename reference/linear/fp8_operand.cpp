// SPDX-License-Identifier: MIT
#include "reference/linear/fp8_operand.hpp"

#include <bit>
#include <cmath>
#include <cstdint>

#include "reference/core/require.hpp"

namespace dsv3 {
namespace {

Index groups_of(Index size, Index group) { return (size + group - 1) / group; }

}  // namespace

Fp8Part whole(const Fp8Operand& operand, bool transposed) {
  const Index rows = operand.q.rows(), cols = operand.q.cols();
  return {&operand, transposed, 0, transposed ? cols : rows, 0, transposed ? rows : cols};
}

void require_operand(const Fp8Operand& operand, const char* where, const char* name) {
  const auto& [q, s, groups, values, min_exponent] = operand;
  require(groups.rows >= 1 && groups.cols >= 1, where, name, " has groups of ", groups.rows, " x ", groups.cols,
          "; both must be at least 1");
  const Index rows = groups_of(q.rows(), groups.rows), cols = groups_of(q.cols(), groups.cols);
  require(s.rows() == rows && s.cols() == cols, where, name, " is [", q.rows(), ", ", q.cols(), "] in groups of ",
          groups.rows, " x ", groups.cols, " but its scales are [", s.rows(), ", ", s.cols(), "]; needed are [", rows,
          ", ", cols, "]");
  require(-14 <= min_exponent && min_exponent <= 15, where, name, "'s smallest normal exponent is ", min_exponent,
          "; it must be in -14 .. 15");
  for (int code = 0; code < 256; ++code) {
    const float v = values[code], units = v * 0x1p16f;
    const bool short_enough = (std::bit_cast<std::uint32_t>(v) & 0xFFFF) == 0;
    require(!std::isfinite(v) || (short_enough && std::abs(v) < 0x1p16f && units == std::trunc(units)), where, name,
            "'s code ", code, " has the value ", v, "; it must be a multiple of 2^-16 below 2^16 of at most 8 bits");
  }
}

}  // namespace dsv3
