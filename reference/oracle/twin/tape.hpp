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

/// A matrix on a tape; see operators.hpp for what is done with it.
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

}  // namespace dsv3::oracle
