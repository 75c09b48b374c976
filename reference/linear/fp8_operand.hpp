// SPDX-License-Identifier: MIT
/// \file
/// A matrix of eight-bit codes as a product reads it.
#pragma once
#include "reference/formats/quantised.hpp"

namespace dsv3 {

/// x(i, j) = values[q(i, j)] s(i / groups.rows, j / groups.cols).
struct Fp8Operand {
  const Codes& q;
  const Scales& s;
  Groups groups;
  const float* values;    ///< of the 256 codes; the finite ones are multiples of 2^-16 below 2^16 of at most 8 bits
  int min_exponent = -6;  ///< of a normal number: -6 for E4M3, -14 for E5M2
};

/// What was quantised, as a product reads it.
inline Fp8Operand operand_of(const Quantised& x) {
  return {x.q, x.s, x.groups, values_of(x.format).data(), format(x.format).min_exponent()};
}

/// Some rows (or columns) of an operand, with the dimension that is summed over named: element (i, k), 0 <= i < size
/// and 0 <= k < depth, is the operand's (first + i, first_k + k), or the other way round where it is `transposed`.
struct Fp8Part {
  const Fp8Operand* operand;
  bool transposed;
  Index first, size, first_k, depth;

  Index step() const { return transposed ? 1 : operand->q.outerStride(); }
  Index step_k() const { return transposed ? operand->q.outerStride() : 1; }
  const std::uint8_t* codes(Index i, Index k) const {
    return operand->q.data() + (first + i) * step() + (first_k + k) * step_k();
  }
  float value(Index i, Index k) const { return operand->values[*codes(i, k)]; }
  Index group() const { return transposed ? operand->groups.cols : operand->groups.rows; }    ///< along i
  Index group_k() const { return transposed ? operand->groups.rows : operand->groups.cols; }  ///< along k
  float scale(Index i, Index k) const {
    const Index g = (first + i) / group(), g_k = (first_k + k) / group_k();
    return transposed ? operand->s(g_k, g) : operand->s(g, g_k);
  }
};

/// All of an operand, summed over its columns or (transposed) over its rows.
Fp8Part whole(const Fp8Operand& operand, bool transposed);

/// Throws std::invalid_argument "WHERE: ..." unless scales fit codes and groups, and the values are as said above.
void require_operand(const Fp8Operand& operand, const char* where, const char* name);

}  // namespace dsv3
