// SPDX-License-Identifier: MIT
#include "reference/linear/gemm.hpp"

#include <algorithm>

#include "reference/core/require.hpp"
#include "reference/core/threads.hpp"
#include "reference/linear/panel_kernel.hpp"

namespace dsv3 {
namespace {

constexpr Index tile_rows = 128, tile_cols = 128;  // one task: large enough to share panels, small enough for threads
constexpr Index copied_step = tile_rows + 16;      // an odd number of cache lines
constexpr Index far_apart = 512;                   // rows this long fall on the same few sets of the cache
constexpr Index few_rows = 2 * strip_rows;         // for so few, a panel is not worth copying

/// Columns 0 .. cols-1 of b as a whole panel: packed row k = b(k, 0 .. cols-1), then zeros.
void pack_panel(real* packed, const Factor& b, Index depth, Index cols) {
  Index k = 0;
  if (b.step == 1 && cols == panel_cols)
    for (; k < depth; ++k)
      for (Index j = 0; j < panel_cols; j += lanes)
        packet::pstoreu(packed + k * panel_cols + j, packet::ploadu<Packet>(b.at(j, k)));
  if (b.step_k == 1 && cols == panel_cols)  // columns of b lie along memory: transposed in squares of lanes x lanes
    for (; k + lanes <= depth; k += lanes)
      for (Index j = 0; j < panel_cols; j += lanes) {
        Square square;
        for (Index i = 0; i < lanes; ++i) square.packet[i] = packet::ploadu<Packet>(b.at(j + i, k));
        packet::ptranspose(square);
        for (Index i = 0; i < lanes; ++i) packet::pstoreu(packed + (k + i) * panel_cols + j, square.packet[i]);
      }
  for (; k < depth; ++k)
    for (Index j = 0; j < panel_cols; ++j) packed[k * panel_cols + j] = j < cols ? *b.at(j, k) : 0;
}

/// A panel of out: strips of equal height, but for one row.
void multiply_strips(View out, const Factor& a, const Factor& b, const Factor& next, Index depth, bool add) {
  constexpr decltype(&multiply_panel<1>) of_height[] = {nullptr,           multiply_panel<1>, multiply_panel<2>,
                                                        multiply_panel<3>, multiply_panel<4>, multiply_panel<5>,
                                                        multiply_panel<6>};
  const Index m = out.rows(), strips = (m + strip_rows - 1) / strip_rows;
  const Index height = m / strips, num_higher = m % strips, begin = num_higher * (height + 1);
  if (num_higher > 0) of_height[height + 1](num_higher, depth, a, b, next, out.data(), out.outerStride(), add);
  of_height[height](strips - num_higher, depth, a.from(begin, 0), b, next, out.data() + begin * out.outerStride(),
                    out.outerStride(), add);
}

/// Fewer columns than a panel has: the same sums in a whole panel, then those that exist.
void multiply_last_columns(View out, const Factor& a, const Factor& b, Index depth, bool add) {
  Eigen::Matrix<real, tile_rows, panel_cols, Eigen::RowMajor> whole;
  multiply_strips(whole.topRows(out.rows()), a, b, b, depth, false);
  if (add) out += whole.topLeftCorner(out.rows(), out.cols());
  else out = whole.topLeftCorner(out.rows(), out.cols());
}

/// out = or += the product of one block of the depth, panel by panel.
void multiply_tile(View out, const Factor& a, const Factor& b, Index depth, bool add) {
  alignas(64) real packed[block_depth * panel_cols];
  for (Index j = 0; j < out.cols(); j += panel_cols) {
    const Index cols = std::min(panel_cols, out.cols() - j);
    Factor b_j = b.from(j, 0), next = b.from(j + panel_cols, 0);
    if (b.step != 1) next.step_k = panel_cols;  // its columns follow each other in memory
    if (b.step != 1 || cols < panel_cols || out.rows() > few_rows) {
      pack_panel(packed, b_j, depth, cols);
      b_j = {packed, 1, panel_cols};
    }
    if (cols == panel_cols) multiply_strips(out.middleCols(j, cols), a, b_j, next, depth, add);
    else multiply_last_columns(out.middleCols(j, cols), a, b_j, depth, add);
  }
}

/// A tile of a that lies across memory, its rows k next to each other.
Factor copy_tile(real* copy, const Factor& a, Index depth, Index rows) {
  for (Index k = 0; k < depth; ++k) std::copy_n(a.at(0, k), rows, copy + k * copied_step);
  return {copy, 1, copied_step};
}

/// out = or += sum_k a(:, k) b(:, k)^T.
void multiply(View out, const Factor& a, const Factor& b, Index depth, bool add) {
  if (depth == 0 && !add) out.setZero();
  const Index down = (out.rows() + tile_rows - 1) / tile_rows, across = (out.cols() + tile_cols - 1) / tile_cols;
  parallel_for(down * across, [&](Index tile) {
    const Index i = tile / across * tile_rows, j = tile % across * tile_cols;
    const Index rows = std::min(tile_rows, out.rows() - i), cols = std::min(tile_cols, out.cols() - j);
    alignas(64) real copy[block_depth * copied_step];
    for (Index k = 0; k < depth; k += block_depth) {
      const Index block = std::min(block_depth, depth - k);
      Factor a_block = a.from(i, k);
      if (a.step_k >= far_apart) a_block = copy_tile(copy, a_block, block, rows);
      multiply_tile(out.block(i, j, rows, cols), a_block, b.from(j, k), block, add || k > 0);
    }
  });
}

Factor rows_of(const ConstView& m) { return {m.data(), m.outerStride(), 1}; }  // summed over the columns
Factor cols_of(const ConstView& m) { return {m.data(), 1, m.outerStride()}; }  // summed over the rows

void require_shapes(const char* where, bool ok, const ConstView& out, const ConstView& a, const ConstView& b) {
  require(ok, where, "shapes do not fit: out ", shape_text(out), ", a ", shape_text(a), ", b ", shape_text(b));
}

}  // namespace

void multiply_nt(View out, const ConstView& a, const ConstView& b) {
  require_shapes("multiply_nt", out.rows() == a.rows() && out.cols() == b.rows() && a.cols() == b.cols(), out, a, b);
  multiply(out, rows_of(a), rows_of(b), a.cols(), false);
}

void multiply_nn(View out, const ConstView& a, const ConstView& b) {
  require_shapes("multiply_nn", out.rows() == a.rows() && out.cols() == b.cols() && a.cols() == b.rows(), out, a, b);
  multiply(out, rows_of(a), cols_of(b), a.cols(), false);
}

void add_multiply_nn(View out, const ConstView& a, const ConstView& b) {
  require_shapes("add_multiply_nn", out.rows() == a.rows() && out.cols() == b.cols() && a.cols() == b.rows(), out, a,
                 b);
  multiply(out, rows_of(a), cols_of(b), a.cols(), true);
}

void add_multiply_tn(View out, const ConstView& a, const ConstView& b) {
  require_shapes("add_multiply_tn", out.rows() == a.cols() && out.cols() == b.cols() && a.rows() == b.rows(), out, a,
                 b);
  multiply(out, cols_of(a), cols_of(b), a.rows(), true);
}

}  // namespace dsv3
