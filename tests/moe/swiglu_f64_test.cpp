// SPDX-License-Identifier: MIT
#include "reference/moe/swiglu.hpp"

#include "reference/core/random.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("swiglu: B and W are the derivatives of F, for the input and all three weights") {
  SwigluWeights<Matrix> w = zeros(swiglu_shapes(6, 9)), grads = w;
  Random random(1);
  for (auto& [name, role, value] : tensors_of(w)) *value = normal_matrix(value->rows(), value->cols(), 0.5, random);
  Matrix u = probe(11, 6, 2);
  const Matrix dh = probe(11, 6, 3);
  const auto f = [&] { return (SwigluFfn{}.forward(w, u, {}).y.array() * dh.array()).sum(); };
  auto back = SwigluFfn{}.backward_input(w, SwigluFfn{}.forward(w, u, {}).stored, Matrix(u), Matrix(dh), {});
  SwigluFfn{}.backward_weight(std::move(back.deferred), grads, {});
  CHECK(derivative_error(f, u, back.dx, 4) < 1e-7);
  CHECK(derivative_error(f, w.W_gate, grads.W_gate, 5) < 1e-7);
  CHECK(derivative_error(f, w.W_up, grads.W_up, 6) < 1e-7);
  CHECK(derivative_error(f, w.W_down, grads.W_down, 7) < 1e-7);
}
