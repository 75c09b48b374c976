// SPDX-License-Identifier: MIT
/// \file
/// Running error analysis: a number, and how far a sound FP32 computation of it may be off (Wilkinson; Higham, Accuracy
/// and Stability of Numerical Algorithms, section 3.3).
#pragma once
#include <cmath>

namespace dsv3::oracle {

/// Unit roundoff of FP32, 2^-24.
inline constexpr double u = 0x1p-24;
/// Hardware may flush what is smaller to zero.
inline constexpr double underflow = 0x1p-126;

/// A sound implementation may compute another form of the same equation: (x r) g or x (r g). Its roundings are others,
/// and as many within this factor, which the limits have more than the bounds.
inline constexpr double other_forms = 2;

/// The operations below take over their operands' errors and add the roundings of one FP32 operation each, and 2^-126
/// for hardware that flushes what is smaller. Functions that nobody rounds correctly (exp, sin, ...) get as much as a
/// fast implementation needs, stated with each.
struct Approx {
  double value = 0;     ///< of exact arithmetic, in double
  double bound = 0;     ///< |computed - value| is at most this, whatever the roundings; infinite: not known
  double variance = 0;  ///< of computed - value, if all roundings are independent
};

/// a b, where 0 times what is not known is 0.
inline double times(double a, double b) { return a == 0 || b == 0 ? 0 : a * b; }

/// x, off by up to `error` more.
inline Approx widened(Approx x, double error) {
  x.bound += error;
  x.variance += error * error / 3;  // as if anything up to `error` were as likely
  return x;
}

/// x, rounded once more to FP32.
inline Approx rounded(Approx x) { return widened(x, u * std::abs(x.value) + u * x.bound + underflow); }

inline Approx operator-(const Approx& a) { return {-a.value, a.bound, a.variance}; }

inline Approx operator+(const Approx& a, const Approx& b) {
  return rounded({a.value + b.value, a.bound + b.bound, a.variance + b.variance});
}

inline Approx operator-(const Approx& a, const Approx& b) { return a + -b; }

inline Approx operator*(const Approx& a, const Approx& b) {
  const double x = std::abs(a.value), y = std::abs(b.value);
  return rounded({a.value * b.value, times(x, b.bound) + times(y, a.bound) + times(a.bound, b.bound),
                  times(x * x, b.variance) + times(y * y, a.variance) + times(a.variance, b.variance)});
}

Approx operator/(const Approx& a, const Approx& b);

Approx sqrt(const Approx& x);
/// Relative error (4 + 2 |x|) u: |x| u is what exp2(x log2 e) with a rounded product and a rounded constant loses.
Approx exp(const Approx& x);
/// 4 u of itself and 4 u beside 1.
Approx log(const Approx& x);
/// 1 / (1 + exp(-x)).
Approx sigmoid(const Approx& x);
/// 4 u of itself: two units in the last place.
Approx tanh(const Approx& x);
/// 4 u, for angles that are reduced well.
Approx cos(const Approx& x);
Approx sin(const Approx& x);

/// A sum of n terms in any order, from 0: n - 1 additions, of partial sums of at most sum |term|. What is known of
/// each term has been put into it with add().
class AnySum {
 public:
  void add(const Approx& term) {
    if (term.value == 0 && term.bound == 0) return;
    value_ += term.value;
    bound_ += term.bound;
    variance_ += term.variance;
    sizes_ += std::abs(term.value) + term.bound;
    squares_ += term.value * term.value;
    ++terms_;
  }
  Approx sum() const;

 private:
  double value_ = 0, bound_ = 0, variance_ = 0, sizes_ = 0, squares_ = 0;
  long terms_ = 0;
};

}  // namespace dsv3::oracle
