// SPDX-License-Identifier: MIT
/// \file
/// Running error analysis: a number, and how far a sound FP32 computation of it may be off (Wilkinson; Higham, Accuracy
/// and Stability of Numerical Algorithms, section 3.3).
#pragma once

namespace dsv3::oracle {

/// Unit roundoff of FP32, 2^-24.
inline constexpr double u = 0x1p-24;

/// A sound implementation may compute another form of the same equation: (x r) g or x (r g). Its roundings are others,
/// and as many within this factor, which the limits have more than the bounds.
inline constexpr double other_forms = 2;

/// The operations below take over their operands' errors and add the roundings of one FP32 operation each. Functions
/// that nobody rounds correctly (exp, sin, ...) get as much as a fast implementation needs, stated with each.
struct Approx {
  double value = 0;     ///< of exact arithmetic, in double
  double bound = 0;     ///< |computed - value| is at most this, whatever the roundings; infinite: not known
  double variance = 0;  ///< of computed - value, if all roundings are independent
};

/// x, rounded once more to FP32.
Approx rounded(Approx x);
/// x, off by up to `error` more.
Approx widened(Approx x, double error);

Approx operator-(const Approx& a);
Approx operator+(const Approx& a, const Approx& b);
Approx operator-(const Approx& a, const Approx& b);
Approx operator*(const Approx& a, const Approx& b);
Approx operator/(const Approx& a, const Approx& b);

Approx sqrt(const Approx& x);
/// Relative error (4 + 2 |x|) u: |x| u is what exp2(x log2 e) with a rounded product and a rounded constant loses.
Approx exp(const Approx& x);
/// 4 u of itself and 4 u beside 1.
Approx log(const Approx& x);
/// 1 / (1 + exp(-x)).
Approx sigmoid(const Approx& x);
/// 4 u, for angles that are reduced well.
Approx cos(const Approx& x);
Approx sin(const Approx& x);

/// A sum of n terms in any order, from 0: n - 1 additions, of partial sums of at most sum |term|. What is known of
/// each term has been put into it with add().
class AnySum {
 public:
  void add(const Approx& term);
  Approx sum() const;

 private:
  double value_ = 0, bound_ = 0, variance_ = 0, sizes_ = 0, squares_ = 0;
  long terms_ = 0;
};

}  // namespace dsv3::oracle
