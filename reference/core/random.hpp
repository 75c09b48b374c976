// SPDX-License-Identifier: MIT
/// \file
/// Seeded random numbers that are the same on every machine.
#pragma once
#include <cstdint>
#include <string_view>

#include "reference/core/matrix.hpp"

namespace dsv3 {

/// SplitMix64: 64 bits of state, so a checkpoint stores a stream as one number. The standard library's
/// distributions differ from one library to the next; these do not.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t bits();  ///< 64 uniform bits
  double uniform();      ///< [0, 1), a multiple of 2^-53
  double normal();       ///< mean 0, variance 1 (Box-Muller, one of the pair)
  Index below(Index n);  ///< 0 .. n-1, every value equally likely; n >= 1
  std::uint64_t state() const { return state_; }

 private:
  std::uint64_t state_;
};

/// A stream of its own for each pair of seed and index, so that results do not depend on who draws first.
Random stream(std::uint64_t seed, std::uint64_t index);
Random stream(std::uint64_t seed, std::string_view name);

/// Independent N(0, std^2) values in row-major order, drawn from `random`.
Matrix normal_matrix(Index rows, Index cols, double std, Random& random);

}  // namespace dsv3
