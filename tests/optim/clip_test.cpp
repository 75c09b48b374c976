// SPDX-License-Identifier: MIT
#include "reference/optim/clip.hpp"

#include <omp.h>

#include <cmath>
#include <limits>

#include "reference/optim/adamw.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
}  // namespace

TEST_CASE("clip: the norm runs over all tensors together, biases left out; by hand") {
  Matrix W = matrix({{1, -2}, {4, 0}}), gain = matrix({{2, 10, 10}}), bias = matrix({{100}});
  const std::vector<NamedTensor> gradients{{"W", Role::weight, &W}, {"b", Role::bias, &bias}, {"g", Role::gain, &gain}};
  CHECK(global_norm(gradients) == 15);  // 1 + 4 + 16 + 4 + 100 + 100 = 225
  CHECK(clip_factor(15, 1) == 1.0 / 15);
  CHECK(clip_factor(15, 15) == 1);
  CHECK(clip_factor(15, 16) == 1);
  CHECK(clip_factor(0, 1) == 1);
  CHECK(global_norm({}) == 0);
}

TEST_CASE("clip: clipped gradients have the maximal norm, and adamw applies the factor in its own pass") {
  Matrix g = probe(30, 50, 1), clipped = g, w = probe(30, 50, 2), w_clipped = w;
  const std::vector<NamedTensor> G{{"W", Role::weight, &g}}, C{{"W", Role::weight, &clipped}};
  const double factor = clip_factor(global_norm(G), 1);
  REQUIRE(factor < 0.5);
  clipped *= static_cast<real>(factor);
  CHECK(std::abs(global_norm(C) - 1) < 1e-7);  // each of 1500 values rounded by at most 2^-24 of itself

  const std::vector<NamedTensor> W{{"W", Role::weight, &w}}, W_clipped{{"W", Role::weight, &w_clipped}};
  AdamWState a = adamw_state(W, MomentFormat::fp32), b = a;
  adamw_step(a, W, G, {.eps = 1}, {.learning_rate = 0.5, .gradient_scale = factor});
  adamw_step(b, W_clipped, C, {.eps = 1}, {.learning_rate = 0.5});
  CHECK(different(w, w_clipped) == "");
}

TEST_CASE("clip: every value counts once, wherever blocks of 8192 and groups of eight end") {
  for (const Index size : {1, 7, 8, 9, 8191, 8192, 8193, 16391}) {
    Matrix g = Matrix::Zero(1, size);
    const std::vector<NamedTensor> G{{"g", Role::weight, &g}};
    for (Index i = 0; i < size; ++i) g(0, i) = static_cast<real>(i % 5);
    double exact = 0;
    for (Index i = 0; i < size; ++i) exact += static_cast<double>((i % 5) * (i % 5));
    CHECK(global_norm(G) == std::sqrt(exact));  // integers: exact in any order
  }
}

TEST_CASE("clip: squares are summed in double, where FP32 would overflow or stall") {
  Matrix g = matrix({{3e30, 4e30}});
  CHECK(std::abs(global_norm({{"g", Role::weight, &g}}) / 5e30 - 1) < 1e-6);
  Matrix ones = Matrix::Ones(4097, 4097);  // FP32 stops counting at 2^24
  CHECK(global_norm({{"g", Role::weight, &ones}}) == 4097);
}

TEST_CASE("clip: the same bits for 1, 2 and 5 threads") {
  Matrix a = probe(300, 211, 1), b = probe(1, 9, 2), c = probe(77, 500, 3);
  const std::vector<NamedTensor> G{{"a", Role::weight, &a}, {"b", Role::gain, &b}, {"c", Role::weight, &c}};
  std::vector<double> norms;
  for (int threads : {1, 2, 5}) {
    omp_set_num_threads(threads);
    norms.push_back(global_norm(G));
  }
  omp_set_num_threads(2);
  CHECK(norms[0] == norms[1]);
  CHECK(norms[0] == norms[2]);
  CHECK(std::abs(norms[0] / std::sqrt((a.cast<double>().squaredNorm() + b.cast<double>().squaredNorm() +
                                       c.cast<double>().squaredNorm())) -
                 1) < 1e-13);
}

TEST_CASE("clip: a gradient that is not finite shows in the norm, and the update refuses the factor") {
  for (const double bad : {kInfinity, -kInfinity, kNaN}) {
    Matrix g = probe(100, 200, 1), w = probe(100, 200, 2);
    g(99, 3) = static_cast<real>(bad);
    const std::vector<NamedTensor> G{{"g", Role::weight, &g}}, W{{"g", Role::weight, &w}};
    const double norm = global_norm(G);
    CHECK(!std::isfinite(norm));
    CHECK(std::isnan(clip_factor(norm, 1)));
    AdamWState state = adamw_state(W, MomentFormat::fp32);
    CHECK_THROWS_WITH_AS(adamw_step(state, W, G, {}, {.gradient_scale = clip_factor(norm, 1)}),
                         "adamw_step: gradient_scale is nan; it must be finite: leave out the update when the gradient "
                         "norm is not",
                         std::invalid_argument);
    CHECK(different(w, probe(100, 200, 2)) == "");
  }
}

TEST_CASE("clip: limits that cannot be right are refused") {
  CHECK_THROWS_WITH(clip_factor(1, 0), "clip_factor: max_norm is 0; it must be finite and > 0");
  CHECK_THROWS_AS(clip_factor(1, kNaN), std::invalid_argument);
  CHECK_THROWS_AS(clip_factor(1, kInfinity), std::invalid_argument);
  CHECK_THROWS_AS(clip_factor(-1, 1), std::invalid_argument);
}
