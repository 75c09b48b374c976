// SPDX-License-Identifier: MIT
#include "reference/mla/attention.hpp"

#include <cmath>

#include "reference/core/require.hpp"
#include "reference/linear/gemm.hpp"

namespace dsv3 {
namespace {

constexpr Index query_block = 64;  // rows of scores at a time: few keys beyond the diagonal, products still efficient

/// body(first row, rows, keys that the last of these rows sees) for each block of queries.
template <class Body>
void for_each_query_block(const ConstView& q, const ConstView& k, const Body& body) {
  const Index n = q.rows(), before = k.rows() - n;
  require(before >= 0, "attend", n, " queries but ", k.rows(), " keys; each query needs its own key");
  for (Index row = 0; row < n; row += query_block) {
    const Index rows = std::min(query_block, n - row);
    body(row, rows, before + row + rows);
  }
}

/// Row i of a block of `rows` that sees `seen` keys at its end sees this many.
Index seen_by(Index i, Index rows, Index seen) { return seen - rows + i + 1; }

/// s -> p = softmax(scale s) over the keys that each row sees, 0 beyond; lse of each row.
void causal_softmax(Matrix& s, View lse, real scale) {
  for (Index i = 0; i < s.rows(); ++i) {
    const Index keys = seen_by(i, s.rows(), s.cols());
    auto row = s.block(i, 0, 1, keys).array();
    const real max = row.maxCoeff();
    row = (scale * (row - max)).exp();
    const real sum = row.sum();
    row /= sum;
    s.block(i, keys, 1, s.cols() - keys).setZero();
    lse(i, 0) = scale * max + std::log(sum);
  }
}

/// s -> the same p from lse.
void causal_softmax_again(Matrix& s, const ConstView& lse, real scale) {
  for (Index i = 0; i < s.rows(); ++i) {
    const Index keys = seen_by(i, s.rows(), s.cols());
    auto row = s.block(i, 0, 1, keys).array();
    row = (scale * row - lse(i, 0)).exp();
    s.block(i, keys, 1, s.cols() - keys).setZero();
  }
}

}  // namespace

void attend(View o, View lse, const ConstView& q, const ConstView& k, const ConstView& v, real scale) {
  for_each_query_block(q, k, [&](Index row, Index rows, Index seen) {
    Matrix p(rows, seen);
    multiply_nt(p, q.middleRows(row, rows), k.topRows(seen));
    causal_softmax(p, lse.middleRows(row, rows), scale);
    multiply_nn(o.middleRows(row, rows), p, v.topRows(seen));
  });
}

void attend_backward(View dq, View dk, View dv, const ConstView& q, const ConstView& k, const ConstView& v,
                     const ConstView& o, const ConstView& lse, const ConstView& d_o, real scale) {
  dk.setZero();
  dv.setZero();
  for_each_query_block(q, k, [&](Index row, Index rows, Index seen) {
    const auto q_rows = q.middleRows(row, rows), d_o_rows = d_o.middleRows(row, rows);
    Matrix p(rows, seen);
    multiply_nt(p, q_rows, k.topRows(seen));
    causal_softmax_again(p, lse.middleRows(row, rows), scale);

    add_multiply_tn(dv.topRows(seen), p, d_o_rows);  // o = p v
    Matrix ds(rows, seen);
    multiply_nt(ds, d_o_rows, v.topRows(seen));  // this is dp
    for (Index i = 0; i < rows; ++i) {           // p = softmax(scale s); sum_j dp_j p_j = d_o o
      const real along = (d_o_rows.row(i).array() * o.row(row + i).array()).sum();
      ds.row(i).array() = p.row(i).array() * (ds.row(i).array() - along) * scale;
    }
    multiply_nn(dq.middleRows(row, rows), ds, k.topRows(seen));  // s = q k^T
    add_multiply_tn(dk.topRows(seen), ds, q_rows);
  });
}

}  // namespace dsv3
