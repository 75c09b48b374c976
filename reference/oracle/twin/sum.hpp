// SPDX-License-Identifier: MIT
/// \file
/// Numbers and sums in the arithmetic of a tape: what the operators share.
#pragma once
#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>

#include "reference/formats/cast.hpp"
#include "reference/oracle/twin/tape.hpp"

namespace dsv3::oracle {

inline void expect(bool fits, const char* what) {
  if (!fits) throw std::logic_error(std::string("oracle twin: ") + what);
}

/// x rounded to FP32, and then to the format.
inline double to(std::optional<FormatId> format, double x) {
  const float once = static_cast<float>(x);
  return format ? decode(*format, encode(*format, once)) : once;
}

/// The terms of a sum, added up as the tape's arithmetic does.
class Sum {
 public:
  explicit Sum(const Arithmetic& how) : how_(how) {}
  void add(const Approx& term) {
    if (how_.exact) any_.add(term);
    else terms_.push_back(term.value);
  }
  Approx sum() {
    if (how_.exact) return any_.sum();
    if (how_.descending) std::ranges::reverse(terms_);
    return {std::accumulate(terms_.begin(), terms_.end(), 0.0,
                            [&](double sum, double term) { return to(how_.sums, sum + to(how_.format, term)); })};
  }

 private:
  const Arithmetic& how_;
  AnySum any_;
  std::vector<double> terms_;
};

/// Adds gradients of all elements to those that are there.
inline void accumulate(Var x, const Estimate& dx) {
  for (Index i = 0; i < dx.rows; ++i)
    for (Index j = 0; j < dx.cols; ++j) x.tape->accumulate(x, i, j, dx(i, j));
}

}  // namespace dsv3::oracle
