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
/// Random bits: every FP32 number that is neither NaN nor infinite, subnormals too, is as likely as another.
FloatMatrix random_finite(Index rows, Index cols, Random& random);
/// Some elements (one in `every`) become one of `values`.
FloatMatrix sprinkled(FloatMatrix m, const std::vector<float>& values, Index every, Random& random);

}  // namespace dsv3::oracle
