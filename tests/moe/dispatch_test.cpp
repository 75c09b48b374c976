// SPDX-License-Identifier: MIT
#include "reference/moe/dispatch.hpp"

#include <omp.h>

#include "tests/moe/fixture.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {
using Indices = std::vector<Index>;

IndexMatrix indices(Index T, Index K_r, const Indices& flat) {
  return Eigen::Map<const IndexMatrix>(flat.data(), T, K_r);
}

/// K_r different experts for each token.
IndexMatrix random_experts(Index T, Index K_r, Index N_r) {
  GateConfig c;
  c.N_r = N_r, c.K_r = K_r, c.has_bias = false;
  return route_logits(c, probe(T, N_r, 5), {}).experts;
}
}  // namespace

TEST_CASE("dispatch: golden example, 3 tokens, 2 experts each of 3") {
  const Dispatch d = sort_by_expert(indices(3, 2, {2, 0, 1, 2, 0, 2}), 3);
  CHECK(d.expert_begin == Indices{0, 2, 3, 6});  // 2, 1, 3 tokens
  CHECK(d.token_of_row == Indices{0, 2, 1, 0, 1, 2});
  Indices flat;
  for (Index r = 0; r < 6; ++r) flat.push_back(d.token_of_row[r] * 2 + d.slot_of_row[r]);
  CHECK(flat == Indices{1, 4, 2, 0, 3, 5});
  CHECK(d.row_of == indices(3, 2, {3, 0, 2, 4, 1, 5}));
  const Matrix x = matrix({{0}, {10}, {20}});
  CHECK(different(gather(x, d.token_of_row), matrix({{0}, {20}, {10}, {0}, {10}, {20}})) == "");
  CHECK(different(gather(x, d.tokens(2)), matrix({{0}, {10}, {20}})) == "");
  const Matrix g = matrix({{1, 2}, {3, 4}, {5, 6}});
  CHECK(different(gather_weights(d, g, 2), matrix({{1}, {4}, {6}})) == "");
}

TEST_CASE("dispatch: row_of and the two maps of rows are inverse; rows of an expert are its tokens, ascending") {
  const IndexMatrix experts = random_experts(200, 4, 16);
  const Dispatch d = sort_by_expert(experts, 16);
  REQUIRE(d.rows() == 800);
  for (Index t = 0; t < 200; ++t)
    for (Index k = 0; k < 4; ++k) {
      const Index r = d.row_of(t, k);
      REQUIRE(d.token_of_row[r] == t);
      REQUIRE(d.slot_of_row[r] == k);
      REQUIRE(d.expert_begin[experts(t, k)] <= r);
      REQUIRE(r < d.expert_begin[experts(t, k) + 1]);
    }
  for (Index i = 0; i < 16; ++i)
    for (Index r = 1; r < d.rows(i); ++r) REQUIRE(d.tokens(i)[r - 1] < d.tokens(i)[r]);
}

TEST_CASE("dispatch: tokens that ask for one expert twice keep the order of slots; experts without tokens are empty") {
  const Dispatch d = sort_by_expert(indices(2, 2, {3, 3, 3, 1}), 5);
  CHECK(d.expert_begin == Indices{0, 0, 1, 1, 4, 4});
  CHECK(d.slot_of_row == Indices{1, 0, 1, 0});
  CHECK(d.tokens(0).empty());
  CHECK(sort_by_expert(IndexMatrix(0, 4), 5).rows() == 0);
}

TEST_CASE("dispatch: combine adds in ascending order of experts, not of slots") {
  // Slots by score: expert 2 (1e8), expert 0 (-1e8), expert 1 (1). In FP32, -1e8 + 1 is -1e8 and 1e8 + -1e8 + 1 is 1.
  const Dispatch d = sort_by_expert(indices(1, 3, {2, 0, 1}), 3);
  Matrix h = Matrix::Zero(1, 1);
  add_combined(h, d, Matrix::Ones(1, 3), matrix({{-1e8}, {1}, {1e8}}));
  CHECK(h(0, 0) == 0);
  add_scattered(h, d, matrix({{-1e8}, {1}, {1e8}}));
  CHECK(h(0, 0) == 0);
}

TEST_CASE("dispatch: combine of gathered rows weighs each token with the sum of its weights; it adds") {
  const IndexMatrix experts = random_experts(60, 4, 16);
  const Dispatch d = sort_by_expert(experts, 16);
  const Matrix x = probe(60, 7, 1), g = probe(60, 4, 2);
  Matrix h = x, du = x, weighted = x, scattered = 5 * x;
  add_combined(h, d, g, gather(x, d.token_of_row));
  for (Index t = 0; t < 60; ++t) weighted.row(t) += g.row(t).sum() * x.row(t);
  CHECK(outside(h, weighted, 1e-5) == "");  // about 8 roundings of numbers of size 10
  add_scattered(du, d, gather(x, d.token_of_row));
  CHECK(outside(du, scattered, 1e-5) == "");
}

TEST_CASE("dispatch: each weight goes to the row of its own token and slot") {
  const IndexMatrix experts = random_experts(30, 4, 16);
  const Dispatch d = sort_by_expert(experts, 16);
  const Matrix g = probe(30, 4, 2);
  Matrix y(d.rows(), 16);  // row r says which expert it is
  y.setZero();
  for (Index i = 0; i < 16; ++i) y.block(d.expert_begin[i], i, d.rows(i), 1).setOnes();
  Matrix h = Matrix::Zero(30, 16), expected = h;
  add_combined(h, d, g, y);
  for (Index t = 0; t < 30; ++t)
    for (Index k = 0; k < 4; ++k) expected(t, experts(t, k)) = g(t, k);
  CHECK(different(h, expected) == "");
}

TEST_CASE("dispatch: the same bits for 1, 2 and 5 threads") {
  const Dispatch d = sort_by_expert(random_experts(300, 4, 16), 16);
  const Matrix y = probe(1200, 33, 1), g = probe(300, 4, 2);
  std::vector<Matrix> h;
  for (int threads : {1, 2, 5}) {
    omp_set_num_threads(threads);
    h.push_back(Matrix::Zero(300, 33));
    add_combined(h.back(), d, g, y);
  }
  omp_set_num_threads(2);
  CHECK(different(h[0], h[1]) == "");
  CHECK(different(h[0], h[2]) == "");
}

TEST_CASE("dispatch: experts that do not exist and shapes that do not fit are refused by name") {
  CHECK_THROWS_WITH(sort_by_expert(indices(2, 2, {0, 1, 2, 3}), 3),
                    "sort_by_expert: token 1 asks for expert 3; there are 3");
  CHECK_THROWS_AS(sort_by_expert(indices(1, 1, {-1}), 3), std::invalid_argument);
  const Dispatch d = sort_by_expert(indices(1, 2, {0, 1}), 2);
  Matrix h = Matrix::Zero(1, 3);
  CHECK_THROWS_WITH(add_combined(h, d, Matrix::Ones(2, 1), Matrix(2, 3)),
                    "add_combined: g is [2, 1]; it must be [1, 2]");
  CHECK_THROWS_AS(add_combined(h, d, Matrix::Ones(1, 2), Matrix(3, 3)), std::invalid_argument);
  CHECK_THROWS_AS(add_scattered(h, d, Matrix(2, 4)), std::invalid_argument);
}
