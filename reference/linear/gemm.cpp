// SPDX-License-Identifier: MIT
#include "reference/linear/gemm.hpp"

#include <algorithm>
#include <utility>

#include "reference/core/require.hpp"
#include "reference/core/threads.hpp"
#include "reference/linear/few_tokens.hpp"
#include "reference/linear/panels.hpp"

namespace dsv3 {
namespace {

constexpr Index copied_step = tile_rows + 16;  // an odd number of cache lines
constexpr Index far_apart = 512;               // rows this long fall on the same few sets of the cache

/// Fewer columns than a panel has: the same sums in a whole panel, then those that exist.
void multiply_last_columns(Panels p, View out) {
  Eigen::Matrix<real, tile_rows, panel_cols, Eigen::RowMajor> whole;
  p.out = whole.data(), p.out_step = panel_cols;
  const bool add = std::exchange(p.sums, Sums::replace) == Sums::add;
  multiply_down<2>(p, out.rows());
  if (add) out += whole.topLeftCorner(out.rows(), out.cols());
  else out = whole.topLeftCorner(out.rows(), out.cols());
}

/// out = or += the product of one block of the depth, panel by panel. Meanwhile the next panel comes into the cache.
void multiply_tile(View out, const Factor& a, const Factor& b, Index depth, Sums sums) {
  alignas(64) real packed[block_depth * panel_cols];
  const Index next_step = b.step == 1 ? b.step_k : panel_cols;  // a column of b, or the columns lie in a row
  for (Index j = 0; j < out.cols(); j += panel_cols) {
    const Index cols = std::min(panel_cols, out.cols() - j);
    pack_panel<2>(packed, b.from(j, 0), depth, cols);
    const Panels panels{.count = 0,
                        .depth = depth,
                        .a = a,
                        .b = {packed, 1, panel_cols},
                        .next = {b.at(j + panel_cols, 0), 0, next_step},
                        .out = out.data() + j,
                        .out_step = out.outerStride(),
                        .out_ahead = 48,
                        .move = {},
                        .sums = sums};
    if (cols == panel_cols) multiply_down<2>(panels, out.rows());
    else multiply_last_columns(panels, out.middleCols(j, cols));
  }
}

/// A tile of a that lies across memory, its rows k next to each other.
Factor copy_tile(real* copy, const Factor& a, Index depth, Index rows) {
  for (Index k = 0; k < depth; ++k) std::copy_n(a.at(0, k), rows, copy + k * copied_step);
  return {copy, 1, copied_step};
}

/// The way to the same bits that is fastest for a shape.
auto way_for(const View& out, const Factor& a, const Factor& b, Index depth) {
  const bool whole_panels = out.cols() % panel_cols == 0;
  if (out.rows() <= lanes && b.step_k == 1) return multiply_few_nt<1>;
  if (out.rows() <= few_tokens && b.step_k == 1) return multiply_few_nt<2>;
  if (out.rows() <= few_tokens && b.step == 1 && whole_panels) return multiply_few_nn;
  if (depth <= few_tokens && a.step == 1 && b.step == 1 && whole_panels) return multiply_few_tn;
  return multiply_tile;
}

/// out = or += sum_k a(:, k) b(:, k)^T.
void multiply(View out, const Factor& a, const Factor& b, Index depth, Sums sums) {
  if (depth == 0 && sums == Sums::replace) out.setZero();
  const auto multiply_block = way_for(out, a, b, depth);
  const Index down = (out.rows() + tile_rows - 1) / tile_rows, across = (out.cols() + tile_cols - 1) / tile_cols;
  parallel_for(down * across, [&](Index tile) {
    const Index i = tile / across * tile_rows, j = tile % across * tile_cols;
    const Index rows = std::min(tile_rows, out.rows() - i), cols = std::min(tile_cols, out.cols() - j);
    alignas(64) real copy[block_depth * copied_step];
    for (Index k = 0; k < depth; k += block_depth) {
      const Index block = std::min(block_depth, depth - k);
      Factor a_block = a.from(i, k);
      if (a.step_k >= far_apart) a_block = copy_tile(copy, a_block, block, rows);
      multiply_block(out.block(i, j, rows, cols), a_block, b.from(j, k), block, k > 0 ? Sums::add : sums);
    }
  });
}

Factor rows_of(const ConstView& m) { return {m.data(), m.outerStride(), 1}; }  // summed over the columns
Factor cols_of(const ConstView& m) { return {m.data(), 1, m.outerStride()}; }  // summed over the rows

void require_shapes(const char* where, bool ok, const ConstView& out, const ConstView& a, const ConstView& b) {
  require(ok, where, "shapes do not fit: out ", shape_text(out), ", a ", shape_text(a), ", b ", shape_text(b));
}

}  // namespace

std::size_t multiply_stack_bytes(Index depth) {
  const Index block =
      std::min(depth, block_depth);  // multiply: copy; multiply_tile: packed; multiply_last_columns: whole
  return static_cast<std::size_t>(block * (copied_step + panel_cols) + tile_rows * panel_cols) * sizeof(real);
}

void multiply_nt(View out, const ConstView& a, const ConstView& b) {
  require_shapes("multiply_nt", out.rows() == a.rows() && out.cols() == b.rows() && a.cols() == b.cols(), out, a, b);
  multiply(out, rows_of(a), rows_of(b), a.cols(), Sums::replace);
}

void multiply_nn(View out, const ConstView& a, const ConstView& b) {
  require_shapes("multiply_nn", out.rows() == a.rows() && out.cols() == b.cols() && a.cols() == b.rows(), out, a, b);
  multiply(out, rows_of(a), cols_of(b), a.cols(), Sums::replace);
}

void add_multiply_nn(View out, const ConstView& a, const ConstView& b) {
  require_shapes("add_multiply_nn", out.rows() == a.rows() && out.cols() == b.cols() && a.cols() == b.rows(), out, a,
                 b);
  multiply(out, rows_of(a), cols_of(b), a.cols(), Sums::add);
}

void add_multiply_tn(View out, const ConstView& a, const ConstView& b) {
  require_shapes("add_multiply_tn", out.rows() == a.cols() && out.cols() == b.cols() && a.rows() == b.rows(), out, a,
                 b);
  multiply(out, cols_of(a), cols_of(b), a.rows(), Sums::add);
}

}  // namespace dsv3
