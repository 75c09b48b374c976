// SPDX-License-Identifier: MIT
/// \file
/// How far a sound product of FP8 codes may lie from ours, whatever the order of its sums.
#pragma once
#include "reference/linear/fp8_gemm.hpp"
#include "reference/oracle/op.hpp"

namespace dsv3::oracle {

/// out = begin + a b^T: of a whole, or of one expert.
struct AnyOrderProduct {
  Fp8Part a, b;
  FloatMatrix ours, exact, begin;  ///< `exact` has exact sums; begin may be [0, 0]
};

/// The limit of these products one after the other, in that arithmetic; derived in docs/bounds/oracle.md.
///
/// bound: of an interval with T = sum |p|, each of its products loses at most a unit u(T) of the alignment to the
/// largest exponent, and each step as much again for the register and the cut of its sum: (n + 2 ceil(n / products))
/// u(T), with u(T) = 2^(floor(log2 T) - F), or half an ulp of T for each addition in FP32. Promotion adds the roundings
/// of FP32 sums of at most the sum of all T. Ours may be as far off: |ours - exact| is added.
///
/// spread: twice the error of our own sums as this case shows it, over all elements of all products, in units of
/// sqrt(sum p^2), and FP32's share for sums in another order. The bound is cut to what is likely: at least eight
/// spreads and four times our own error.
Limit any_order_limit(const std::vector<AnyOrderProduct>& products, const Fp8Arithmetic& how);

}  // namespace dsv3::oracle
