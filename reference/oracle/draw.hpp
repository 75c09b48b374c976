// SPDX-License-Identifier: MIT
/// \file
/// Inputs of cases.
#pragma once
#include <vector>

#include "reference/core/random.hpp"
#include "reference/oracle/op.hpp"

namespace dsv3::oracle {

/// N(0, std^2), rounded to FP32.
FloatMatrix normals(Index rows, Index cols, Random& random, double std = 1);
/// |N(0, std^2)|: data of one sign, as after a gate.
FloatMatrix positives(Index rows, Index cols, Random& random, double std = 1);
/// Normals with a factor 2^-spread .. 2^spread of each row of its own.
FloatMatrix rows_of_many_sizes(Index rows, Index cols, Random& random, int spread);
/// N(mean, std^2) in any shape.
Tensor normals(const std::vector<Index>& shape, Random& random, double std = 1, float mean = 0);
/// N(1, 0.1^2): gains of a norm, [1, d].
FloatMatrix gains(Index d, Random& random);
/// Random bits: every FP32 number that is neither NaN nor infinite, subnormals too, is as likely as another.
FloatMatrix random_finite(Index rows, Index cols, Random& random);
/// Some elements (one in `every`) become one of `values`.
FloatMatrix sprinkled(FloatMatrix m, const std::vector<float>& values, Index every, Random& random);

/// Every third row, from the first.
void set_third_rows_to_zero(FloatMatrix& m);

/// How far the kinds below go.
struct Extremes {
  int spread = 12;      ///< of rows, as a power of two
  float outlier = 300;  ///< its size
  Index every = 50;     ///< elements to an outlier
};
/// Numbers of the kinds "one_signed", "sizes", "outliers" and "zeros" (every third row); of any other N(0, 1).
FloatMatrix of_kind(const std::string& kind, Index rows, Index cols, Random& random, const Extremes& extremes = {});

/// The positions of a sequence, from `first` on.
Tensor consecutive(Index first, Index count);

/// What each kind needs of an op's `draw` where attributes have no say in the inputs.
template <class Draw>
auto by_kind_and_sizes(Draw draw) {
  return [draw](const std::string& kind, const Sizes& sizes, const Attributes&, Random& random) {
    return draw(kind, sizes, random);
  };
}

}  // namespace dsv3::oracle
