// SPDX-License-Identifier: MIT
#include "reference/norm/rms_norm.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("RmsNorm: gradients of the input and the gain") {
  const RmsNorm norm{0.3};  // an eps that is felt: its place in the gradient matters
  RmsNormWeights<Matrix> p{probe(1, 11, 1)}, grads{Matrix::Zero(1, 11)};
  Matrix x = probe(70, 11, 2);
  const Matrix dy = probe(70, 11, 3);
  const auto f = [&] { return (norm.forward(p, x, {}).y.array() * dy.array()).sum(); };
  auto [dx, deferred] = norm.backward_input(p, {}, Matrix(x), Matrix(dy), {});
  norm.backward_weight(std::move(deferred), grads, {});
  CHECK(derivative_error(f, x, dx, 4) < 1e-7);
  CHECK(derivative_error(f, p.g, grads.g, 5) < 1e-7);
}
