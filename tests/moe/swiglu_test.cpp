// SPDX-License-Identifier: MIT
#include "reference/moe/swiglu.hpp"

#include <omp.h>

#include <cmath>

#include "reference/core/random.hpp"
#include "reference/formats/bf16.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {
SwigluWeights<Matrix> random_weights(Index d, Index f) {
  SwigluWeights<Matrix> w = zeros(swiglu_shapes(d, f));
  Random random(7);
  for (auto& [name, role, value] : tensors_of(w)) *value = normal_matrix(value->rows(), value->cols(), 0.3, random);
  return w;
}
}  // namespace

TEST_CASE("swiglu: silu on the gate branch, not on the up branch; by hand") {
  // d = 2, f = 1: a = 2, b = 3, z = 2 Sigmoid(2) * 3
  const SwigluWeights<Matrix> w{matrix({{1, 0}}), matrix({{0, 1}}), matrix({{1}, {-2}})};
  const auto [h, stored] = SwigluFfn{}.forward(w, matrix({{2, 3}}), {});
  const double z = 6 / (1 + std::exp(-2.0));
  CHECK(outside(h, matrix({{z, -2 * z}}), 4e-6) == "");  // 12 is the size of the result, 2^-21 a few of its roundings
  CHECK(different(stored.a.value(), matrix({{2}})) == "");
  CHECK(different(stored.b.value(), matrix({{3}})) == "");
}

TEST_CASE("swiglu: recompute gives the z that the gradient of W_down is made of") {
  const auto w = random_weights(9, 5);
  const Matrix u = probe(33, 9, 1);
  auto [h, stored] = SwigluFfn{}.forward(w, u, {});
  const Matrix z = SwigluFfn{}.recompute(w, stored, u, {}).z;
  auto deferred = SwigluFfn{}.backward_input(w, std::move(stored), Matrix(u), probe(33, 9, 2), {}).deferred;
  CHECK(different(deferred.z.value(), z) == "");
  CHECK(different(deferred.u.value(), u) == "");
}

TEST_CASE("swiglu: extreme gates give neither NaN nor infinity") {
  const SwigluWeights<Matrix> w{matrix({{1}}), matrix({{1}}), matrix({{1}})};
  const Matrix u = matrix({{-3e4}, {-90}, {0}, {90}, {3e4}});
  auto [h, stored] = SwigluFfn{}.forward(w, u, {});
  CHECK(outside(h, matrix({{0}, {0}, {0}, {8100}, {9e8}}), 64) == "");  // 64 is one rounding of 9e8
  const auto back = SwigluFfn{}.backward_input(w, std::move(stored), Matrix(u), Matrix::Ones(5, 1), {});
  CHECK(outside(back.dx, matrix({{0}, {0}, {0}, {180}, {6e4}}), 0.01) == "");
}

TEST_CASE("swiglu: bf16 rounds a, b, z and h") {
  const auto w = random_weights(16, 24);
  Context bf16;
  bf16.precision = Precision::bf16;
  const Matrix u = probe(10, 16, 3);
  const auto [h, stored] = SwigluFfn{}.forward(w, u, bf16);
  const Matrix z = SwigluFfn{}.recompute(w, stored, u, bf16).z;
  for (const Matrix& m : {h, stored.a.value(), stored.b.value(), z}) CHECK(different(m, round_to_bf16(m)) == "");
  CHECK(different(h, SwigluFfn{}.forward(w, u, {}).y) != "");
}

TEST_CASE("swiglu: weight gradients are added; W_gate and W_up of different widths are refused") {
  auto w = random_weights(4, 3);
  auto grads = zeros(swiglu_shapes(4, 3)), twice = grads;
  for (auto* g : {&grads, &twice, &twice}) {
    auto stored = SwigluFfn{}.forward(w, probe(5, 4, 1), {}).stored;
    auto deferred = SwigluFfn{}.backward_input(w, std::move(stored), probe(5, 4, 1), probe(5, 4, 2), {}).deferred;
    SwigluFfn{}.backward_weight(std::move(deferred), *g, {});
  }
  CHECK(max_abs(grads.W_gate) > 0.01);
  CHECK(outside(twice.W_gate, 2 * grads.W_gate, 1e-6) == "");
  CHECK(outside(twice.W_up, 2 * grads.W_up, 1e-6) == "");
  CHECK(outside(twice.W_down, 2 * grads.W_down, 1e-6) == "");
  w.W_up = Matrix::Zero(2, 4);
  CHECK_THROWS_WITH(SwigluFfn{}.forward(w, probe(5, 4, 1), {}),
                    "SwigluFfn: a is [5, 3] but b is [5, 2]; W_gate and W_up need the same shape");
}

TEST_CASE("swiglu: the same bits for 1, 2 and 5 threads") {
  const auto w = random_weights(70, 50);
  const Matrix u = probe(300, 70, 1), dh = probe(300, 70, 2);
  std::vector<Matrix> results[2];
  for (int threads : {1, 2, 5}) {
    omp_set_num_threads(threads);
    auto [h, stored] = SwigluFfn{}.forward(w, u, {});
    results[0].push_back(h);
    results[1].push_back(SwigluFfn{}.backward_input(w, std::move(stored), Matrix(u), Matrix(dh), {}).dx);
  }
  omp_set_num_threads(2);
  for (const auto& r : results)
    for (int other : {1, 2}) CHECK(different(r[0], r[other]) == "");
}
