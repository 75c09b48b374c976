// SPDX-License-Identifier: MIT
/// \file
/// What a component must know about the call besides its weights and its input.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "reference/core/matrix.hpp"
#include "reference/linear/precision.hpp"

namespace dsv3 {

/// The rows of a batch: sequence s owns rows begin[s] .. begin[s+1]-1, at positions first_position[s], +1, ...
struct Sequences {
  std::vector<Index> begin{0};
  std::vector<Index> first_position;

  Index count() const { return static_cast<Index>(first_position.size()); }
  Index rows() const { return begin.back(); }
  Index length(Index s) const { return begin[s + 1] - begin[s]; }
  void add(Index length, Index position) {
    begin.push_back(begin.back() + length);
    first_position.push_back(position);
  }
  /// `count` sequences of `length` tokens each, all from position 0.
  static Sequences uniform(Index count, Index length) {
    Sequences all;
    for (Index s = 0; s < count; ++s) all.add(length, 0);
    return all;
  }
};

/// How much the balance loss of section 1.10 weighs in this call; alpha 0 switches it off.
enum class BalanceScope { sequence, batch };
struct BalanceLoss {
  double alpha = 0;  ///< alpha of Eq. (17)
  BalanceScope scope = BalanceScope::sequence;
  double weight = 1;  ///< factor on the sum over sequences (or on the one batch): 1/count for a mean
};

/// Receives every named intermediate value; used by `dsv3 forward --activations`.
using Tap = std::function<void(const std::string& name, const Matrix& value)>;

struct Context {
  Precision precision = Precision::fp32;
  Sequences sequences;
  BalanceLoss balance;
  Tap tap;
  std::string tap_prefix;   ///< "layers.3." while layer 3 runs
  bool dispatched = false;  ///< the input and the gradient of the output come from other experts' ranks, section 3.3.3

  void show(const char* name, const Matrix& value) const {
    if (tap) tap(tap_prefix + name, value);
  }
};

}  // namespace dsv3
