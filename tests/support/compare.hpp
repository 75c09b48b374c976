// SPDX-License-Identifier: MIT
/// \file
/// Comparisons that fail on NaN, on other shapes and on nothing to compare.
#pragma once
#include <doctest/doctest.h>

#include <functional>
#include <initializer_list>
#include <string>

#include "reference/core/matrix.hpp"

namespace dsv3::test {

Matrix matrix(std::initializer_list<std::initializer_list<double>> rows);

/// Empty if every |a - b| <= bound; else the first element where it is not, with both values.
std::string outside(const ConstView& a, const ConstView& b, double bound);

/// Empty if a and b agree bit for bit.
std::string different(const ConstView& a, const ConstView& b);

double max_abs(const ConstView& m);

/// A weighted sum <m, weights> with fixed random weights: a scalar that depends on every element, for derivatives.
Matrix probe(Index rows, Index cols, std::uint64_t seed);

/// Relative error of the derivative of `f` in a random direction at `x` against <gradient, direction>; f64 only makes
/// sense. Central differences of fourth order, the smallest error over a few steps: truncation falls with the step's
/// fourth power while rounding grows with its inverse, and the best step lies between them.
double derivative_error(const std::function<double()>& f, Matrix& x, const Matrix& gradient, std::uint64_t seed);

}  // namespace dsv3::test
