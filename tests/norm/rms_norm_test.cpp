// SPDX-License-Identifier: MIT
#include "reference/norm/rms_norm.hpp"

#include <omp.h>

#include <cmath>

#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("RmsNorm: by hand, eps inside the root, gain after") {
  // mean((1, 7)^2) = 25, + eps 11 = 36: divided by 6.
  const Matrix y = RmsNorm{11}.forward({matrix({{3, 6}})}, matrix({{1, 7}, {0, 0}}), {}).y;
  CHECK(outside(y, matrix({{0.5, 7}, {0, 0}}), 1e-6) == "");  // 1e-6: a few roundings near 7
}

TEST_CASE("RmsNorm: rows agree with sums taken in long double") {
  const Matrix x = 30 * probe(9, 37, 1), g = probe(1, 37, 2);
  const Matrix y = RmsNorm{1e-6}.forward({g}, x, {}).y;
  for (Index t = 0; t < x.rows(); ++t) {
    long double squares = 0;
    for (Index j = 0; j < x.cols(); ++j) squares += static_cast<long double>(x(t, j)) * x(t, j);
    const long double rms = std::sqrt(squares / 37 + 1e-6L);
    for (Index j = 0; j < x.cols(); ++j) {
      const double exact = static_cast<double>(x(t, j) / rms * g(0, j));
      // 37 roundings of positive summands, halved by the root, and 4 more: 23 half ulps
      CHECK(std::abs(double{y(t, j)} - exact) <= 23 * 0x1p-24 * std::abs(exact));
    }
  }
}

TEST_CASE("RmsNorm: FP32 throughout: nothing in it is rounded to BF16, whatever the precision of the products") {
  Context bf16;
  bf16.precision = Precision::bf16;
  const Matrix x = probe(5, 16, 1), g = probe(1, 16, 2);
  CHECK(different(RmsNorm{}.forward({g}, x, bf16).y, RmsNorm{}.forward({g}, x, {}).y) == "");
}

TEST_CASE("RmsNorm: the eps of the default is 1e-6, and a row of zeros stays zero") {
  const Matrix y = RmsNorm{}.forward({Matrix::Ones(1, 4)}, matrix({{1e-3, 1e-3, 1e-3, 1e-3}, {0, 0, 0, 0}}), {}).y;
  CHECK(y(0, 0) == doctest::Approx(1 / std::sqrt(2)).epsilon(1e-6));
  CHECK(y(1, 3) == 0);
}

TEST_CASE("RmsNorm: the weight gradient adds; by hand") {
  RmsNormWeights<Matrix> grads{matrix({{10, 20}})};
  RmsNorm{}.backward_weight({matrix({{1, 2}, {3, 4}}), matrix({{1, 1}, {2, -1}})}, grads, {});
  CHECK(different(grads.g, matrix({{17, 18}})) == "");
}

TEST_CASE("RmsNorm: the same bits for 1, 2 and 5 threads") {
  const Matrix x = probe(201, 150, 1), dy = probe(201, 150, 2), g = probe(1, 150, 3);
  std::vector<Matrix> y, dx, dg;
  for (int threads : {1, 2, 5}) {
    omp_set_num_threads(threads);
    y.push_back(RmsNorm{}.forward({g}, x, {}).y);
    auto [d, deferred] = RmsNorm{}.backward_input({g}, {}, Matrix(x), Matrix(dy), {});
    dx.push_back(d);
    RmsNormWeights<Matrix> grads{Matrix::Zero(1, 150)};
    RmsNorm{}.backward_weight(std::move(deferred), grads, {});
    dg.push_back(grads.g);
  }
  omp_set_num_threads(2);
  for (int other : {1, 2}) {
    CHECK(different(y[0], y[other]) == "");
    CHECK(different(dx[0], dx[other]) == "");
    CHECK(different(dg[0], dg[other]) == "");
  }
}

TEST_CASE("RmsNorm: a gain, a gradient or a row gradient of another width is named") {
  CHECK_THROWS_WITH(RmsNorm{}.forward({Matrix::Ones(1, 3)}, Matrix::Ones(2, 4), {}),
                    "RmsNorm: g is [1, 3] but x is [2, 4]; g needs to be [1, 4]");
  CHECK_THROWS_AS(RmsNorm{}.backward_input({Matrix::Ones(1, 4)}, {}, Matrix::Ones(2, 4), Matrix::Ones(3, 4), {}),
                  std::invalid_argument);
  RmsNormWeights<Matrix> grads{Matrix::Ones(1, 3)};
  CHECK_THROWS_AS(RmsNorm{}.backward_weight({Matrix::Ones(2, 4), Matrix::Ones(2, 4)}, grads, {}),
                  std::invalid_argument);
}
