// SPDX-License-Identifier: MIT
#include "reference/oracle/twin/approx.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dsv3::oracle {
namespace {

constexpr double unknown = std::numeric_limits<double>::infinity();
constexpr double underflow = 0x1p-126;  // hardware may flush what is smaller to zero

/// a b, where 0 times what is not known is 0.
double times(double a, double b) { return a == 0 || b == 0 ? 0 : a * b; }

/// A function of x whose slope near x is at most `slope`, off by up to `own` itself.
Approx of(const Approx& x, double value, double slope, double own) {
  return widened({value, times(slope, x.bound), times(slope * slope, x.variance)}, own);
}

}  // namespace

Approx widened(Approx x, double error) {
  x.bound += error;
  x.variance += error * error / 3;  // as if anything up to `error` were as likely
  return x;
}

Approx rounded(Approx x) { return widened(x, u * std::abs(x.value) + u * x.bound + underflow); }

Approx operator-(const Approx& a) { return {-a.value, a.bound, a.variance}; }

Approx operator+(const Approx& a, const Approx& b) {
  return rounded({a.value + b.value, a.bound + b.bound, a.variance + b.variance});
}

Approx operator-(const Approx& a, const Approx& b) { return a + -b; }

Approx operator*(const Approx& a, const Approx& b) {
  const double x = std::abs(a.value), y = std::abs(b.value);
  return rounded({a.value * b.value, times(x, b.bound) + times(y, a.bound) + times(a.bound, b.bound),
                  times(x * x, b.variance) + times(y * y, a.variance) + times(a.variance, b.variance)});
}

Approx operator/(const Approx& a, const Approx& b) {
  const double quotient = a.value / b.value, least = std::abs(b.value) - b.bound;
  if (!(least > 0)) return {quotient, unknown, unknown};
  return rounded({quotient, (a.bound + times(std::abs(quotient), b.bound)) / least,
                  (a.variance + times(quotient * quotient, b.variance)) / (least * least)});
}

Approx sqrt(const Approx& x) {
  const double root = std::sqrt(x.value), least = std::sqrt(std::max(x.value - x.bound, 0.0));
  return of(x, root, root > 0 ? 1 / (root + least) : 0, 2 * u * root + (root > 0 ? 0 : std::sqrt(x.bound)));
}

Approx exp(const Approx& x) {
  const double y = std::exp(x.value);
  if (y == 0) return widened({0}, underflow);
  return of(x, y, std::exp(x.value + x.bound), (4 + 2 * std::abs(x.value)) * u * y + underflow);
}

Approx log(const Approx& x) {
  const double y = std::log(x.value), least = x.value - x.bound;
  if (!(least > 0)) return {y, x.bound == 0 ? 0 : unknown, 0};
  return of(x, y, 1 / least, 4 * u * std::abs(y) + 4 * u * std::min(1.0, std::abs(x.value - 1)));
}

Approx sigmoid(const Approx& x) {
  const double s = 1 / (1 + std::exp(-x.value));
  const double slope = std::min(0.25, s * (1 - s) * std::exp(x.bound));
  // The relative error of exp(-x) counts with its share of 1 + exp(-x).
  return of(x, s, slope, ((4 + 2 * std::abs(x.value)) * (1 - s) + 4) * u * s + underflow);
}

Approx cos(const Approx& x) { return of(x, std::cos(x.value), 1, 4 * u); }
Approx sin(const Approx& x) { return of(x, std::sin(x.value), 1, 4 * u); }

void AnySum::add(const Approx& term) {
  if (term.value == 0 && term.bound == 0) return;
  value_ += term.value;
  bound_ += term.bound;
  variance_ += term.variance;
  sizes_ += std::abs(term.value) + term.bound;
  squares_ += term.value * term.value;
  ++terms_;
}

Approx AnySum::sum() const {
  const double additions = terms_ > 0 ? static_cast<double>(terms_ - 1) : 0, nu = additions * u;
  // A partial sum is about as large as the root of the squares, or as what all of them come to.
  const double partial = squares_ + value_ * value_;
  return {value_, bound_ + nu / (1 - nu) * sizes_, variance_ + additions * u * u / 3 * partial};
}

}  // namespace dsv3::oracle
