// SPDX-License-Identifier: MIT
#include "reference/linear/gemm.hpp"

#include "reference/core/require.hpp"
#include "reference/core/threads.hpp"

namespace dsv3 {
namespace {

constexpr Index tile_rows = 192, tile_cols = 256;  // large enough that packing both operands is a few percent

/// body(row, col, rows, cols) for each tile of an [m, n] result; the grid depends on the shape only.
template <class Body>
void for_each_tile(Index m, Index n, const Body& body) {
  const Index down = (m + tile_rows - 1) / tile_rows, across = (n + tile_cols - 1) / tile_cols;
  parallel_for(down * across, [&](Index tile) {
    const Index i = tile / across * tile_rows, j = tile % across * tile_cols;
    body(i, j, std::min(tile_rows, m - i), std::min(tile_cols, n - j));
  });
}

void require_shapes(const char* where, bool ok, const ConstView& out, const ConstView& a, const ConstView& b) {
  require(ok, where, "shapes do not fit: out ", shape_text(out), ", a ", shape_text(a), ", b ", shape_text(b));
}

}  // namespace

void multiply_nt(View out, const ConstView& a, const ConstView& b) {
  require_shapes("multiply_nt", out.rows() == a.rows() && out.cols() == b.rows() && a.cols() == b.cols(), out, a, b);
  for_each_tile(out.rows(), out.cols(), [&](Index i, Index j, Index m, Index n) {
    out.block(i, j, m, n).noalias() = a.middleRows(i, m) * b.middleRows(j, n).transpose();
  });
}

void multiply_nn(View out, const ConstView& a, const ConstView& b) {
  require_shapes("multiply_nn", out.rows() == a.rows() && out.cols() == b.cols() && a.cols() == b.rows(), out, a, b);
  for_each_tile(out.rows(), out.cols(), [&](Index i, Index j, Index m, Index n) {
    out.block(i, j, m, n).noalias() = a.middleRows(i, m) * b.middleCols(j, n);
  });
}

void add_multiply_nn(View out, const ConstView& a, const ConstView& b) {
  require_shapes("add_multiply_nn", out.rows() == a.rows() && out.cols() == b.cols() && a.cols() == b.rows(), out, a,
                 b);
  for_each_tile(out.rows(), out.cols(), [&](Index i, Index j, Index m, Index n) {
    out.block(i, j, m, n).noalias() += a.middleRows(i, m) * b.middleCols(j, n);
  });
}

void add_multiply_tn(View out, const ConstView& a, const ConstView& b) {
  require_shapes("add_multiply_tn", out.rows() == a.cols() && out.cols() == b.cols() && a.rows() == b.rows(), out, a,
                 b);
  for_each_tile(out.rows(), out.cols(), [&](Index i, Index j, Index m, Index n) {
    out.block(i, j, m, n).noalias() += a.middleCols(i, m).transpose() * b.middleCols(j, n);
  });
}

}  // namespace dsv3
