// SPDX-License-Identifier: MIT
#include "reference/linear/linear.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("linear: dgrad and wgrad are the derivatives of fprop") {
  Matrix W = probe(7, 5, 1), x = probe(9, 5, 2);
  const Matrix dy = probe(9, 7, 3);
  const auto f = [&] { return (fprop(W, x).array() * dy.array()).sum(); };
  Matrix dW = Matrix::Zero(7, 5);
  wgrad(dW, dy, x);
  CHECK(derivative_error(f, x, dgrad(W, dy), 4) < 1e-7);
  CHECK(derivative_error(f, W, dW, 5) < 1e-7);
}
