// SPDX-License-Identifier: MIT
#include "reference/mla/attention.hpp"

#include <cmath>

#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("attend: two tokens by hand, Eq. (10)") {
  // scale 1/2: row 1 has scores 0 and ln 3, so the weights are 1/4 and 3/4; row 0 sees itself only.
  const Matrix q = matrix({{5, 5}, {1, 1}}), v = matrix({{4, 0, 8}, {0, 8, 4}});
  const Matrix k = matrix({{0, 0}, {std::log(9.0), 0}});
  Matrix o(2, 3), lse(2, 1);
  attend(o, lse, q, k, v, real(0.5));
  CHECK(outside(o, matrix({{4, 0, 8}, {1, 6, 5}}), 2e-6) == "");  // a few roundings near 8
  CHECK(outside(lse, matrix({{0}, {std::log(4.0)}}), 1e-6) == "");
}

TEST_CASE("attend: with equal scores a token gets the mean of the values so far, across blocks of queries") {
  const Index T = 150;
  Matrix v(T, 1), mean(T, 1), o(T, 1), lse(T, 1);
  for (Index t = 0; t < T; ++t) {
    v(t, 0) = static_cast<real>(t);
    mean(t, 0) = static_cast<real>(t) / 2;
  }
  attend(o, lse, Matrix::Zero(T, 4), Matrix::Ones(T, 4), v, 1);
  // A chain of up to 150 additions, each off by up to 2^-24 of a sum of up to 75: at most 7e-4, as a rule far less.
  CHECK(outside(o, mean, 1e-4) == "");
  CHECK(lse(T - 1, 0) == doctest::Approx(std::log(150)).epsilon(1e-6));
}

TEST_CASE("attend: the queries are the last of the tokens") {
  const Matrix q = probe(90, 6, 1), k = probe(90, 6, 2), v = probe(90, 5, 3);
  Matrix o(90, 5), lse(90, 1), o_last(20, 5), lse_last(20, 1);
  attend(o, lse, q, k, v, 1);
  attend(o_last, lse_last, q.bottomRows(20), k, v, 1);
  CHECK(outside(o_last, o.bottomRows(20), 2e-6) == "");  // other blocks, other order of 90 terms near 1
  CHECK_THROWS_WITH(attend(o, lse, q, k.topRows(89), v.topRows(89), 1),
                    "attend: 90 queries but 89 keys; each query needs its own key");
}

TEST_CASE("attend: scores of 1e4 neither overflow nor spread") {
  Matrix o(2, 1), lse(2, 1);
  attend(o, lse, matrix({{100}, {100}}), matrix({{-100}, {100}}), matrix({{3}, {7}}), 1);
  CHECK(different(o, matrix({{3}, {7}})) == "");
  CHECK(different(lse, matrix({{-1e4}, {1e4}})) == "");
}

TEST_CASE("attend: a key or value after a token does not change a bit of it, inside a block of queries or beyond") {
  const Matrix q = probe(100, 6, 1), k = probe(100, 6, 2), v = probe(100, 5, 3);
  Matrix o(100, 5), lse(100, 1), o_other(100, 5), lse_other(100, 1);
  attend(o, lse, q, k, v, 1);
  for (const Index changed : {30, 63, 64, 99}) {
    Matrix k_other = k, v_other = v;
    k_other.row(changed) *= 3;
    v_other.row(changed).setConstant(1000);
    attend(o_other, lse_other, q, k_other, v_other, 1);
    CHECK(different(o.topRows(changed), o_other.topRows(changed)) == "");
    CHECK(different(o.row(changed), o_other.row(changed)) != "");
  }
}
