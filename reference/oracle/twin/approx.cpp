// SPDX-License-Identifier: MIT
#include "reference/oracle/twin/approx.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dsv3::oracle {
namespace {

constexpr double unknown = std::numeric_limits<double>::infinity();

/// A function whose slope is `here` at x and at most `near` within x's bound, off by up to `own` itself.
Approx of(const Approx& x, double value, double here, double near, double own) {
  return widened({value, times(near, x.bound), times(here * here, x.variance)}, own);
}

}  // namespace

Approx operator/(const Approx& a, const Approx& b) {
  const double quotient = a.value / b.value, least = std::abs(b.value) - b.bound;
  const double variance = (a.variance + times(quotient * quotient, b.variance)) / (b.value * b.value);
  if (!(least > 0)) return {quotient, unknown, b.value == 0 ? unknown : variance};
  return rounded({quotient, (a.bound + times(std::abs(quotient), b.bound)) / least, variance});
}

Approx sqrt(const Approx& x) {
  const double root = std::sqrt(x.value), least = std::sqrt(std::max(x.value - x.bound, 0.0));
  if (root == 0) return widened({0}, std::sqrt(x.bound));
  return of(x, root, 1 / (2 * root), 1 / (root + least), 2 * u * root);
}

Approx exp(const Approx& x) {
  const double y = std::exp(x.value);
  if (y == 0) return widened({0}, underflow);
  return of(x, y, y, std::exp(x.value + x.bound), (4 + 2 * std::abs(x.value)) * u * y + underflow);
}

Approx log(const Approx& x) {
  const double y = std::log(x.value), least = x.value - x.bound;
  if (!(least > 0)) return {y, x.bound == 0 ? 0 : unknown, 0};
  return of(x, y, 1 / x.value, 1 / least, 4 * u * std::abs(y) + 4 * u * std::min(1.0, std::abs(x.value - 1)));
}

Approx sigmoid(const Approx& x) {
  const double s = 1 / (1 + std::exp(-x.value)), slope = s * (1 - s);
  // The relative error of exp(-x) counts with its share of 1 + exp(-x).
  const double own = ((4 + 2 * std::abs(x.value)) * (1 - s) + 4) * u * s + underflow;
  return of(x, s, slope, std::min(0.25, times(slope, std::exp(x.bound))), own);
}

Approx tanh(const Approx& x) {
  const double y = std::tanh(x.value), slope = 1 - y * y;
  const double nearest_to_0 = std::max(std::abs(x.value) - x.bound, 0.0), steepest = 1 / std::cosh(nearest_to_0);
  return of(x, y, slope, steepest * steepest, 4 * u * std::abs(y) + underflow);
}

Approx cos(const Approx& x) { return of(x, std::cos(x.value), std::sin(x.value), 1, 4 * u); }
Approx sin(const Approx& x) { return of(x, std::sin(x.value), std::cos(x.value), 1, 4 * u); }

Approx AnySum::sum() const {
  const double additions = terms_ > 0 ? static_cast<double>(terms_ - 1) : 0, nu = additions * u;
  // A partial sum is about as large as the root of the squares, or as what all of them come to.
  const double partial = squares_ + value_ * value_;
  return {value_, bound_ + times(nu / (1 - nu), sizes_), variance_ + additions * u * u / 3 * partial};
}

}  // namespace dsv3::oracle
