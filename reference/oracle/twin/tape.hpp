// SPDX-License-Identifier: MIT
/// \file
/// The twin's notation: matrices of numbers with their errors, and gradients by reverse differentiation.
///
/// An op is written down once more here, in a few lines that look like its equation, element by element and without
/// any of the reference's code. The twin gives three things: exact values and a bound for every element (the verdict's
/// limits); gradients that nobody derived by hand; and imitations of other implementations, by rounding on purpose.
#pragma once
#include <deque>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "reference/core/real.hpp"
#include "reference/formats/format.hpp"
#include "reference/oracle/twin/approx.hpp"

namespace dsv3::oracle {

/// A matrix of such numbers, row by row.
struct Estimate {
  Index rows = 0, cols = 0;
  std::vector<Approx> at = {};

  Estimate() = default;
  Estimate(Index r, Index c) : rows(r), cols(c), at(static_cast<std::size_t>(r * c)) {}
  Approx& operator()(Index i, Index j) { return at[static_cast<std::size_t>(i * cols + j)]; }
  const Approx& operator()(Index i, Index j) const { return at[static_cast<std::size_t>(i * cols + j)]; }
};

/// How the values of a tape come about.
struct Arithmetic {
  bool exact = true;                    ///< in double. Else every operation is rounded, and the rest says how
  std::optional<FormatId> format = {};  ///< of all that is computed; FP32
  std::optional<FormatId> sums = {};    ///< and of the partial sums; FP32
  bool descending = false;              ///< sums run from the last term to the first
};

class Tape;

/// A matrix on a tape. Shapes of the operators below must be equal, or one row, one column or one element is used for
/// all. std::logic_error: a mistake of the twin.
struct Var {
  Tape* tape = nullptr;
  std::size_t id = 0;

  const Estimate& value() const;
  Index rows() const { return value().rows; }
  Index cols() const { return value().cols; }
};

class Tape {
 public:
  explicit Tape(Arithmetic arithmetic = {}) : arithmetic_(arithmetic) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  Var input(Estimate value);
  Var constant(double value);  ///< [1, 1]

  /// The gradients of everything that these values were made of, from the gradients of these. Once for a tape.
  /// `passing` sees the gradients of some values when they are complete, and gives what to go on with.
  using Passing = std::function<Estimate(const Estimate& gradient)>;
  void backward(const std::vector<std::pair<Var, Estimate>>& seeds,
                const std::vector<std::pair<Var, Passing>>& passing = {});
  /// The gradient that backward() left there; zeros where none came.
  Estimate gradient(Var x) const;

  /// For the operators: a value, and what hands a gradient of it on.
  using HandOn = std::function<void(const Estimate& dy, const Estimate& y)>;
  Var put(Estimate value, HandOn hand_on);
  void accumulate(Var x, Index i, Index j, const Approx& dx);
  const Arithmetic& arithmetic() const { return arithmetic_; }

 private:
  friend struct Var;
  struct Node {
    Estimate value, gradient;
    HandOn hand_on;
  };
  Arithmetic arithmetic_;
  std::deque<Node> nodes_;
};

Var operator+(Var a, Var b);
Var operator-(Var a, Var b);
Var operator*(Var a, Var b);
Var operator/(Var a, Var b);
Var operator*(double a, Var b);
Var operator+(Var a, double b);

Var sqrt(Var x);
Var exp(Var x);
Var log(Var x);
Var sigmoid(Var x);
Var cos(Var x);
Var sin(Var x);

Var product(Var a, Var b);                            ///< a b^T, as Linears are: [m, k], [n, k] -> [m, n]
Var transposed(Var a);                                ///< [n, m]
Var row_sums(Var a);                                  ///< [m, 1]
Var sum_of(const std::vector<Var>& terms);            ///< of equal shapes, in any order
Var column_sums(Var a);                               ///< [1, n]
Var columns(Var a, const std::vector<Index>& which);  ///< [m, which]; one may come several times
Var columns(Var a, Index begin, Index count);
Var rows(Var a, const std::vector<Index>& which);  ///< [which, n]
Var beside(const std::vector<Var>& parts);         ///< concatenated along the columns
Var below(const std::vector<Var>& parts);          ///< along the rows

/// y(i, j) = x(i, which[i][j]): other columns of each row.
Var picked(Var x, const std::vector<std::vector<Index>>& which);

/// x where keep(i, j), `otherwise` elsewhere.
Var where(const std::function<bool(Index, Index)>& keep, Var x, double otherwise);
/// The largest value of each row, as a constant: a shift that the result does not depend on.
Var row_maxima(Var x);
Var softmax_rows(Var x);
/// g x / sqrt(mean(x^2) + eps) of each row.
Var rms_normalised(Var x, Var g, double eps);
/// x rounded to a format in every reading, beyond its largest value to infinity: off by a step where x may lie on
/// either side of a tie, else by nothing. Gradients pass as if nothing were rounded.
Var in_format(Var x, FormatId format, Rounding rounding = Rounding::nearest_even);
/// Other values in x's place; gradients pass.
Var replaced(Var x, Estimate values);
/// x as a tensor that may be kept in BF16: a rounding more, where the tape's numbers are exact.
Var kept_in_bf16(Var x);

}  // namespace dsv3::oracle
