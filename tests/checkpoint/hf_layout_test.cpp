// SPDX-License-Identifier: MIT
#include "reference/checkpoint/hf_layout.hpp"

#include <cmath>

#include "reference/core/require.hpp"
#include "reference/rope/rope.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {
/// Row i holds 10 * i + 1, 10 * i + 2, ...
Matrix numbered(Index rows, Index cols) {
  Matrix m(rows, cols);
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j) m(i, j) = static_cast<real>(10 * i + j + 1);
  return m;
}

/// What loading does to W_QR and W_KR where rope_interleave is false.
Matrix interleaved(const Matrix& W, Index width) {
  return reorder_rows(W, width, RopeLayout::half, RopeLayout::interleaved);
}

/// The score of a query and a key, each of one rotary pair-set, at a distance: twin of both conventions.
double score(const Matrix& q, const Matrix& k, double distance, bool halves) {
  const Index width = q.rows(), h = width / 2;
  double sum = 0;
  for (Index i = 0; i < h; ++i) {
    const Index a = halves ? i : 2 * i, b = halves ? i + h : 2 * i + 1;
    const double angle = distance * std::pow(10000.0, -2.0 * double(i) / double(width));
    const double re = double{q(a, 0)} * double{k(a, 0)} + double{q(b, 0)} * double{k(b, 0)};
    const double im = double{q(a, 0)} * double{k(b, 0)} - double{q(b, 0)} * double{k(a, 0)};
    sum += re * std::cos(angle) + im * std::sin(angle);
  }
  return sum;
}
}  // namespace

TEST_CASE("hf_layout: q_b_proj holds nope and rope of a head side by side, not all nope before all rope") {
  // Two heads, 2 nope and 1 rope channel each: rows nope, nope, rope | nope, nope, rope.
  Matrix W_UQ(4, 1), W_QR(2, 1);
  split_heads(matrix({{1}, {2}, {-1}, {3}, {4}, {-2}}), 2, W_UQ, W_QR);
  CHECK(different(W_UQ, matrix({{1}, {2}, {3}, {4}})) == "");
  CHECK(different(W_QR, matrix({{-1}, {-2}})) == "");
}

TEST_CASE("hf_layout: kv_b_proj holds keys and values per head, of different widths") {
  Matrix W_UK(3, 1), W_UV(6, 1);  // three heads, d_h = 1, d_v = 2
  split_heads(matrix({{1}, {-1}, {-2}, {2}, {-3}, {-4}, {3}, {-5}, {-6}}), 3, W_UK, W_UV);
  CHECK(different(W_UK, matrix({{1}, {2}, {3}})) == "");
  CHECK(different(W_UV, matrix({{-1}, {-2}, {-3}, {-4}, {-5}, {-6}})) == "");
}

TEST_CASE("hf_layout: kv_a_proj_with_mqa is the latent above the one rotary key") {
  Matrix W_DKV(3, 2), W_KR(2, 2);
  const Matrix joint = numbered(5, 2);
  split_heads(joint, 1, W_DKV, W_KR);
  CHECK(different(W_DKV, joint.topRows(3)) == "");
  CHECK(different(W_KR, joint.bottomRows(2)) == "");
}

TEST_CASE("hf_layout: joining is the inverse of splitting") {
  const Matrix joint = numbered(4 * (3 + 2), 7);
  Matrix first(12, 7), second(8, 7);
  split_heads(joint, 4, first, second);
  CHECK(different(join_heads(first, second, 4), joint) == "");
}

TEST_CASE("hf_layout: rows that are no multiple of the heads, or do not add up, name the shapes") {
  Matrix first(4, 2), second(2, 2);
  CHECK_THROWS_WITH(split_heads(Matrix(7, 2), 2, first, second), "split_heads: [7, 2] does not hold [4, 2] and [2, 2]");
  CHECK_THROWS_AS(split_heads(Matrix(6, 3), 2, first, second), std::invalid_argument);
  CHECK_THROWS_AS(split_heads(Matrix(6, 2), 4, first, second), std::invalid_argument);
  CHECK_THROWS_AS(join_heads(Matrix(4, 2), Matrix(2, 3), 2), std::invalid_argument);
  CHECK_THROWS_AS(join_heads(Matrix(4, 2), Matrix(2, 2), 0), std::invalid_argument);
  CHECK_THROWS_AS(interleaved(Matrix(6, 2), 4), std::invalid_argument);
  CHECK_THROWS_AS(interleaved(Matrix(6, 2), 3), std::invalid_argument);
}

TEST_CASE("hf_layout: row i and row i + w/2 become rows 2i and 2i + 1, in each vector of width w") {
  CHECK(different(interleaved(matrix({{1}, {2}, {-1}, {-2}, {3}, {4}, {-3}, {-4}}), 4),
                  matrix({{1}, {-1}, {2}, {-2}, {3}, {-3}, {4}, {-4}})) == "");
}

TEST_CASE("hf_layout: after the permutation, pairs (2i, 2i+1) give the scores that pairs (i, i+w/2) gave before") {
  const Matrix q = probe(8, 1, 1), k = probe(8, 1, 2);
  for (const double distance : {0.0, 1.0, 17.0}) {
    const double before = score(q, k, distance, true);
    const double after = score(interleaved(q, 8), interleaved(k, 8), distance, false);
    CHECK(after == doctest::Approx(before).epsilon(1e-12));  // the same terms, summed in double
    if (distance > 0) CHECK(std::abs(score(q, k, distance, false) - before) > 1e-3);
  }
}
