// SPDX-License-Identifier: MIT
/// \file
/// Heads side by side in one matrix.
#pragma once
#include "reference/core/context.hpp"
#include "reference/core/threads.hpp"

namespace dsv3 {

/// The rows of one sequence and the columns of one head.
struct HeadBlock {
  Index first_row, rows, head;

  ConstView of(const Matrix& x, Index width) const { return x.block(first_row, head * width, rows, width); }
  View of(Matrix& x, Index width) const { return x.block(first_row, head * width, rows, width); }
  ConstView shared(const Matrix& x) const { return x.middleRows(first_row, rows); }
};

/// f(block) for each head of each sequence, on all threads.
template <class F>
void for_each_head(const Sequences& sequences, Index n_h, const F& f) {
  parallel_for(sequences.count() * n_h, [&](Index task) {
    const Index s = task / n_h;
    f(HeadBlock{sequences.begin[s], sequences.length(s), task % n_h});
  });
}

/// [T, n_h width] -> [T, width], head 0 first.
inline Matrix sum_over_heads(const Matrix& x, Index width) {
  Matrix sum = Matrix::Zero(x.rows(), width);
  for (Index column = 0; column < x.cols(); column += width) sum += x.middleCols(column, width);
  return sum;
}

/// [a; b] of Eqs. (4) and (9): the channels of a, then those of b.
inline Matrix join(const ConstView& a, const ConstView& b) {
  Matrix joined(a.rows(), a.cols() + b.cols());
  joined.leftCols(a.cols()) = a;
  joined.rightCols(b.cols()) = b;
  return joined;
}

}  // namespace dsv3
