// SPDX-License-Identifier: MIT
#include "reference/linear/linear.hpp"

#include <omp.h>

#include "reference/core/random.hpp"
#include "reference/formats/bf16.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("fprop: one token through a 2x3 weight gives the product by hand") {
  const Matrix W = matrix({{1, 2, 3}, {4, 5, 6}}), x = matrix({{1, 0, -1}});
  CHECK(different(fprop(W, x), matrix({{-2, -2}})) == "");
}

TEST_CASE("dgrad, wgrad: by hand; wgrad adds") {
  const Matrix W = matrix({{1, 2, 3}, {4, 5, 6}}), x = matrix({{1, 0, -1}, {2, 1, 0}}), dy = matrix({{1, 1}, {0, 2}});
  CHECK(different(dgrad(W, dy), matrix({{5, 7, 9}, {8, 10, 12}})) == "");
  Matrix dW = Matrix::Ones(2, 3);
  wgrad(dW, dy, x);
  CHECK(different(dW, matrix({{2, 1, 0}, {6, 3, 0}})) == "");
}

TEST_CASE("linear: a wrong inner dimension names both shapes") {
  CHECK_THROWS_WITH(fprop(Matrix(2, 3), Matrix(4, 5)), "fprop: x is [4, 5] but W is [2, 3]; x needs 3 columns");
  CHECK_THROWS_WITH(dgrad(Matrix(2, 3), Matrix(4, 5)), "dgrad: dy is [4, 5] but W is [2, 3]; dy needs 2 columns");
  Matrix dW(2, 3);
  CHECK_THROWS_AS(wgrad(dW, Matrix(4, 2), Matrix(5, 3)), std::invalid_argument);
}

TEST_CASE("linear: the same bits for 1, 2 and 5 threads, at shapes with ragged tiles") {
  const Matrix W = probe(517, 300, 1), x = probe(401, 300, 2), dy = probe(401, 517, 3);
  std::vector<Matrix> y, dx, dW;
  for (int threads : {1, 2, 5}) {
    omp_set_num_threads(threads);
    y.push_back(fprop(W, x));
    dx.push_back(dgrad(W, dy));
    dW.push_back(Matrix::Zero(517, 300));
    wgrad(dW.back(), dy, x);
  }
  omp_set_num_threads(2);
  for (int other : {1, 2}) {
    CHECK(different(y[0], y[other]) == "");
    CHECK(different(dx[0], dx[other]) == "");
    CHECK(different(dW[0], dW[other]) == "");
  }
}

TEST_CASE("linear: bf16 rounds operands and result; wgrad is not rounded") {
  // 1 + 2^-10 and 1 + 2^-8 (a tie) round to 1, 1 + 3 * 2^-8 to 1 + 2^-6. A difference shows what is not rounded before.
  const real near_1 = 1 + 0x1p-10;
  const Matrix W = matrix({{1 + 0x1p-8, 0}, {0, 1 + 3 * 0x1p-8}, {1, -1}});
  const Matrix y = fprop(W, matrix({{near_1, 1}, {1 + 0x1p-7, 3}}), Precision::bf16);
  CHECK(different(y, matrix({{1, 1 + 0x1p-6, 0}, {1 + 0x1p-7, 3.046875, 0x1p-7 - 2}})) == "");
  const Matrix dx = dgrad(matrix({{near_1}, {1}}), matrix({{1, -1}, {near_1, -1}, {1, 0x1p-10}}), Precision::bf16);
  CHECK(different(dx, matrix({{0}, {0}, {1}})) == "");
  Matrix dW = Matrix::Zero(1, 1);
  wgrad(dW, matrix({{near_1}, {0x1p-10}}), matrix({{1}, {near_1}}), Precision::bf16);
  CHECK(dW(0, 0) == near_1);  // would be 1 if the sum were rounded to BF16
}
