// SPDX-License-Identifier: MIT
#include "reference/rope/rope.hpp"

#include <omp.h>

#include <cmath>

#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

Sequences rows_at(std::initializer_list<Index> positions) {
  Sequences rows;
  for (const Index position : positions) rows.add(1, position);
  return rows;
}

}  // namespace

TEST_CASE("RoPE: by hand, width 4 at position 1: the two layouts put the sine in different channels") {
  const RopeTable rope({.width = 4}, rows_at({1}));
  Matrix x = matrix({{1, 0, 0, 0}});
  rope.rotate(x);
  CHECK(outside(x, matrix({{0.540302306, 0.841470985, 0, 0}}), 1e-7) == "");  // one rounding to float
  x = matrix({{1, 0, 0, 0}});
  rope.rotate(x, RopeLayout::half);
  CHECK(outside(x, matrix({{0.540302306, 0, 0.841470985, 0}}), 1e-7) == "");
  x = matrix({{0, 0, 0, 1}});
  rope.rotate(x);  // f_1 = 0.01
  CHECK(outside(x, matrix({{0, 0, -0.00999983333, 0.999950000}}), 1e-7) == "");
}

TEST_CASE("RoPE: position 0 changes no bit") {
  const Matrix x = probe(1, 24, 1);
  for (const RopeLayout layout : {RopeLayout::interleaved, RopeLayout::half}) {
    Matrix y = x;
    RopeTable({.width = 8}, rows_at({0})).rotate(y, layout);
    CHECK(different(x, y) == "");
  }
}

TEST_CASE("RoPE: every head of a row turns alike, rows by their own positions") {
  Sequences rows;
  rows.add(2, 5);
  rows.add(1, 0);
  rows.add(1, 6);
  const Matrix head = probe(1, 8, 1);
  Matrix x(4, 24);
  x << head, head, head, head, head, head, head, head, head, head, head, head;
  RopeTable({.width = 8}, rows).rotate(x);
  CHECK(different(x.leftCols(8), x.middleCols(8, 8)) == "");
  CHECK(different(x.leftCols(8), x.rightCols(8)) == "");
  CHECK(different(x.block(2, 0, 1, 8), head) == "");
  CHECK(different(x.row(1), x.row(3)) == "");  // both at position 6
  CHECK(different(x.row(0), x.row(1)) != "");
}

TEST_CASE("RoPE: a column block of a wider matrix is rotated in place and nothing beside it") {
  Matrix wide = probe(3, 20, 1);
  const Matrix before = wide;
  Matrix alone = wide.middleCols(4, 8);
  const RopeTable rope({.width = 8}, Sequences::uniform(1, 3));
  rope.rotate(wide.middleCols(4, 8));
  rope.rotate(alone);
  CHECK(different(wide.middleCols(4, 8), alone) == "");
  CHECK(different(wide.leftCols(4), before.leftCols(4)) == "");
  CHECK(different(wide.rightCols(8), before.rightCols(8)) == "");
}

TEST_CASE("RoPE: exact angles are taken in double, so late positions are as exact as early ones") {
  // (1, 0) at pair 1, position 163839: the cosine itself comes out. FP32 angles would be off by about 1e-3.
  const RopeConfig config{.width = 64, .max_length = 163840};
  for (const Index position : {1, 4095, 100003, 163839}) {
    Matrix x = Matrix::Zero(1, 64);
    x(0, 2) = 1;
    RopeTable(config, rows_at({position})).rotate(x);
    const long double angle = static_cast<long double>(position) * std::pow(10000.0L, -1.0L / 32);
    // half an ulp of float near 1, and the rounding of f_1 to double times the position
    CHECK(std::abs(static_cast<double>(x(0, 2) - std::cos(angle))) <= 0x1p-25 + 1e-10);
    CHECK(std::abs(static_cast<double>(x(0, 3) - std::sin(angle))) <= 0x1p-25 + 1e-10);
  }
}

TEST_CASE("RoPE: a position out of range, a wrong shape and an odd width are refused") {
  const RopeConfig config{.width = 4, .max_length = 100};
  CHECK_NOTHROW(RopeTable(config, rows_at({99})));
  CHECK_THROWS_WITH(RopeTable(config, rows_at({3, 100})),
                    "RopeTable: sequence 1 has 1 tokens from position 100; positions must be 0 .. 99");
  CHECK_THROWS_AS(RopeTable(config, rows_at({-1})), std::invalid_argument);
  CHECK_THROWS_AS(RopeTable(config, Sequences::uniform(1, 101)), std::invalid_argument);
  CHECK_THROWS_AS(RopeTable(config, rows_at({std::numeric_limits<Index>::max()})), std::invalid_argument);
  CHECK_THROWS_AS(RopeTable({.width = 5}, rows_at({0})), std::invalid_argument);
  CHECK_THROWS_AS(RopeTable(config, Sequences{{0, 3}, {}}), std::invalid_argument);
  CHECK_THROWS_AS(RopeTable(config, Sequences{{0, 3, 1}, {0, 0}}), std::invalid_argument);
  Matrix x = Matrix::Ones(2, 4), narrow = Matrix::Ones(1, 6);
  CHECK_THROWS_WITH(RopeTable(config, rows_at({0})).rotate(x),
                    "RopeTable: x is [2, 4]; it needs 1 rows and heads of 4 columns");
  CHECK_THROWS_AS(RopeTable(config, rows_at({0})).rotate(narrow), std::invalid_argument);
  CHECK_THROWS_AS(reorder_rows(Matrix::Ones(6, 2), 4, RopeLayout::interleaved, RopeLayout::half),
                  std::invalid_argument);
}

TEST_CASE("RoPE: the same bits for 1, 2 and 5 threads") {
  std::vector<Matrix> rotated;
  for (int threads : {1, 2, 5}) {
    omp_set_num_threads(threads);
    rotated.push_back(probe(300, 32, 1));
    RopeTable({.width = 8}, Sequences::uniform(3, 100)).rotate(rotated.back());
  }
  omp_set_num_threads(2);
  CHECK(different(rotated[0], rotated[1]) == "");
  CHECK(different(rotated[0], rotated[2]) == "");
}

TEST_CASE("RoPE: reordering to the half layout puts even channels first; back is the inverse") {
  const Matrix x = matrix({{0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17}});
  const Matrix half = reorder_channels(x, 8, RopeLayout::interleaved, RopeLayout::half);
  CHECK(different(half, matrix({{0, 2, 4, 6, 1, 3, 5, 7, 10, 12, 14, 16, 11, 13, 15, 17}})) == "");
  CHECK(different(reorder_channels(half, 8, RopeLayout::half, RopeLayout::interleaved), x) == "");
  CHECK(different(reorder_channels(x, 8, RopeLayout::half, RopeLayout::half), x) == "");
  const Matrix W = x.transpose();
  CHECK(different(reorder_rows(W, 8, RopeLayout::interleaved, RopeLayout::half), half.transpose().eval()) == "");
}
