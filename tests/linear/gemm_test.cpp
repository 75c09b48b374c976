// SPDX-License-Identifier: MIT
#include "reference/linear/gemm.hpp"

#include <omp.h>

#include <cmath>

#include "reference/linear/panel_kernel.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// The contract, one element after the other; a [m, k], b [k, n].
Matrix chain(const Matrix& a, const Matrix& b, const Matrix* start = nullptr) {
  Matrix out = start ? *start : Matrix::Zero(a.rows(), b.cols());
  for (Index i = 0; i < out.rows(); ++i)
    for (Index j = 0; j < out.cols(); ++j)
      for (Index k = 0; k < a.cols(); k += block_depth) {
        real sum = 0;
        for (Index d = k; d < std::min(a.cols(), k + block_depth); ++d) {
#ifdef __FMA__
          sum = std::fma(a(i, d), b(d, j), sum);
#else
          sum += a(i, d) * b(d, j);
#endif
        }
        out(i, j) = start || k > 0 ? out(i, j) + sum : sum;
      }
  return out;
}

struct Shapes {
  Index m, n, k;
};

/// Heights below, at and above a strip, few rows and many; widths of no, one and several whole panels; depths of one
/// block and more; tiles of 128; rows long enough to be copied; one token, up to a packet, up to a panel and more.
constexpr Shapes ragged[] = {{1, 1, 1},     {1, 37, 300},   {5, 16, 8},    {6, 17, 256},   {7, 15, 257},
                             {12, 64, 31},  {13, 64, 31},   {129, 33, 70}, {127, 130, 65}, {131, 128, 9},
                             {20, 5, 3},    {64, 48, 513},  {8, 600, 100}, {600, 40, 100}, {3, 20, 1000},
                             {8, 144, 300}, {9, 160, 257},  {16, 256, 40}, {17, 256, 40},  {140, 256, 16},
                             {70, 160, 1},  {140, 256, 17}, {1, 272, 600}};

}  // namespace

TEST_CASE("gemm: every element is the chain of fused multiply-adds the contract says, bit for bit") {
  for (const auto [m, n, k] : ragged) {
    CAPTURE(m);
    CAPTURE(n);
    CAPTURE(k);
    const Matrix a = probe(m, k, 1), b = probe(k, n, 2), before = probe(m, n, 3);
    const Matrix a_t = a.transpose(), b_t = b.transpose();
    Matrix nt = before, nn = before, add_nn = before, add_tn = before;
    multiply_nt(nt, a, b_t);
    multiply_nn(nn, a, b);
    add_multiply_nn(add_nn, a, b);
    add_multiply_tn(add_tn, a_t, b);
    CHECK(different(nt, chain(a, b)) == "");
    CHECK(different(nn, chain(a, b)) == "");
    CHECK(different(add_nn, chain(a, b, &before)) == "");
    CHECK(different(add_tn, chain(a, b, &before)) == "");
  }
}

TEST_CASE("gemm: a row of the result does not depend on the other rows of the batch, nor a column on the others") {
  const Matrix a = probe(150, 300, 1), W = probe(170, 300, 2);
  Matrix all(150, 170), one(1, 170), few(150, 3);
  multiply_nt(all, a, W);
  for (const Index i : {0, 1, 77, 149}) {
    multiply_nt(one, a.row(i), W);
    CHECK(different(one, all.row(i)) == "");
  }
  multiply_nt(few, a, W.middleRows(60, 3));
  CHECK(different(few, all.middleCols(60, 3)) == "");
}

TEST_CASE("gemm: blocks of larger matrices are read and written, and nothing beside them") {
  const Matrix a = probe(40, 50, 1), b = probe(60, 50, 2);
  Matrix out = probe(40, 60, 3);
  const Matrix before = out, a_block = a.block(3, 5, 20, 30), b_block = b.block(11, 7, 33, 30);
  multiply_nt(out.block(9, 13, 20, 33), a.block(3, 5, 20, 30), b.block(11, 7, 33, 30));
  CHECK(different(out.block(9, 13, 20, 33), chain(a_block, b_block.transpose())) == "");
  out.block(9, 13, 20, 33) = before.block(9, 13, 20, 33);
  CHECK(different(out, before) == "");
}

TEST_CASE("gemm: nothing to sum over is 0, or what was there; nothing to write is fine") {
  Matrix out = Matrix::Ones(3, 4);
  add_multiply_tn(out, Matrix(0, 3), Matrix(0, 4));
  CHECK(different(out, Matrix::Ones(3, 4)) == "");
  multiply_nt(out, Matrix(3, 0), Matrix(4, 0));
  CHECK(different(out, Matrix::Zero(3, 4)) == "");
  Matrix empty(0, 4);
  multiply_nt(empty, Matrix(0, 5), Matrix(4, 5));
}

TEST_CASE("gemm: a NaN or an infinity reaches its own row and column only") {
  Matrix a = probe(10, 20, 1), out(10, 30);
  const Matrix b = probe(20, 30, 2);
  a(4, 7) = std::numeric_limits<real>::quiet_NaN();
  multiply_nn(out, a, b);
  for (Index i = 0; i < 10; ++i) CHECK(out.row(i).array().isNaN().all() == (i == 4));
  CHECK(out.array().isNaN().count() == 30);
}
