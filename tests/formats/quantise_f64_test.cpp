// SPDX-License-Identifier: MIT
// Where `real` is double, FP8 stays what it is: FP32 in, the same codes and scales out.
#include <doctest/doctest.h>

#include "reference/core/random.hpp"
#include "reference/formats/quantise.hpp"

using namespace dsv3;

TEST_CASE("quantise in the double library: a matrix of real is rounded to FP32 first, then nothing differs") {
  Random random(1);
  const Matrix x = normal_matrix(130, 200, 3, random);
  const FloatMatrix as_float = x.cast<float>();
  for (const Groups& groups : {tile_1x128, tile_128x1, block_128x128}) {
    const Quantised q = quantise(x.cast<float>(), {.groups = groups});
    for (Index i = 0; i < x.rows(); ++i)
      for (Index j = 0; j < x.cols(); ++j) {
        const float s = q.s(i / groups.rows, j / groups.cols);
        if (q.q(i, j) != encode(FormatId::e4m3, as_float(i, j) / s)) FAIL(i << ' ' << j);
      }
    const Matrix back = dequantise(q).cast<real>();
    CHECK((back - x).cwiseAbs().maxCoeff() < 0.5);
  }
}
