// SPDX-License-Identifier: MIT
/// \file
/// What a product on the device must be. On the CPU that plays one: the reference's bits. On a real one, of which the
/// model of the tensor core may be wrong in bits: inside the derived bound of the exact sum.
#pragma once
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <span>
#include <string>

#include "reference/core/require.hpp"
#include "tests/cuda/linear/operands.hpp"

namespace dsv3::test {

inline cuda::Fp8Gemm gemm_of(const Operand& a, Index N, const OnDevice& on_a, const OnDevice& on_b,
                             std::uint16_t* out) {
  return {static_cast<int>(a.q.rows()),
          static_cast<int>(N),
          static_cast<int>(a.q.cols()),
          on_a.rows(),
          on_a.tiles(),
          on_b.rows(),
          on_b.blocks(),
          out,
          N};
}

/// code times scale, exactly.
inline Eigen::MatrixXd exact_values(const Operand& x) {
  Eigen::MatrixXd values(x.q.rows(), x.q.cols());
  for (Index i = 0; i < x.q.rows(); ++i)
    for (Index j = 0; j < x.q.cols(); ++j)
      values(i, j) = double{values_of(FormatId::e4m3)[x.q(i, j)]} * x.s(i / x.groups.rows, j / x.groups.cols);
  return values;
}

/// The first element that is not what the reference gives, "" where there is none. `expected` has its bits; `bound` is
/// of its distance from the exact sum, `rounding` the largest relative one of the result's format, or 0.
inline std::string first_outside(Index rows, Index cols, const std::function<double(Index, Index)>& found,
                                 const std::function<double(Index, Index)>& expected,
                                 const std::function<Bounds()>& bound, const Eigen::MatrixXd& exact, double rounding) {
  const auto words = [&](Index i, Index j) {
    return concat("(", i, ", ", j, ") is ", found(i, j), ", expected ", expected(i, j), ", exactly ", exact(i, j));
  };
  const Bounds limit = cuda::device().is_played ? Bounds() : bound();
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j) {
      const bool right = cuda::device().is_played ? found(i, j) == expected(i, j)
                                                  : std::abs(found(i, j) - exact(i, j)) <=
                                                        limit(i, j) + rounding * (std::abs(exact(i, j)) + limit(i, j));
      if (!right) return words(i, j);
    }
  return "";
}

/// Of a b^T in BF16.
inline std::string outside(std::span<const std::uint16_t> found, const Operand& a, const Operand& b) {
  const Scales y = product_on_hopper(a, b);
  return first_outside(
      y.rows(), y.cols(),
      [&](Index i, Index j) { return float_from_bf16(found[static_cast<std::size_t>(i * y.cols() + j)]); },
      [&](Index i, Index j) { return float_from_bf16(bf16_from_float(y(i, j))); },
      [&] {
        const Fp8Operand x = a.view(), W = b.view();
        return fp8_error_bound(whole(x, false), whole(W, false), on_hopper);
      },
      exact_values(a) * exact_values(b).transpose(), 0x1p-8);
}

}  // namespace dsv3::test
