// SPDX-License-Identifier: MIT
/// \file
/// The k largest of a stream of values, with the project's tie rule.
#pragma once
#include <limits>
#include <vector>

#include "reference/core/real.hpp"

namespace dsv3 {

/// The k largest of the values offered, largest first, and the best of the others. Offer in ascending order of index:
/// of equal values the one offered first comes first, so the lowest index wins a tie. Values must be finite.
class TopK {
 public:
  explicit TopK(Index k) : k_(k), value_(k + 1), index_(k + 1) { clear(); }

  void clear() { value_.assign(k_ + 1, -std::numeric_limits<real>::infinity()); }

  void offer(real value, Index index) {
    if (!(value > value_[k_])) return;
    Index place = k_;
    for (; place > 0 && value > value_[place - 1]; --place) {
      value_[place] = value_[place - 1];
      index_[place] = index_[place - 1];
    }
    value_[place] = value;
    index_[place] = index;
  }

  Index operator[](Index place) const { return index_[place]; }  ///< index of the value at `place` < k
  /// By how much the last of the k beats the best of the others; infinity if there are no others.
  real margin() const { return value_[k_ - 1] - value_[k_]; }

 private:
  Index k_;
  std::vector<real> value_;  // k + 1 of them: the last is the best of the others
  std::vector<Index> index_;
};

}  // namespace dsv3
