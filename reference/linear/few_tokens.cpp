// SPDX-License-Identifier: MIT
#include "reference/linear/few_tokens.hpp"

#include <algorithm>

#include "reference/linear/panels.hpp"

namespace dsv3 {
namespace {

constexpr Index rows_together = 16;  // of a weight: all their columns stay in the first-level cache

}  // namespace

template <int packets>
void multiply_few_nt(View y, const Factor& x, const Factor& W, Index depth, Sums sums) {
  constexpr Index width = packets * lanes, rows_ahead = 2 * strip_rows<packets>;
  alignas(64) real packed[block_depth * width];
  Eigen::Matrix<real, tile_cols, width, Eigen::RowMajor> y_T;
  pack_panel<packets>(packed, x, depth, y.rows());
  multiply_down<packets>({.count = 0,
                          .depth = depth,
                          .a = W,
                          .b = {packed, 1, width},
                          .next = {W.at(rows_ahead, 0), W.step, strip_rows<packets>},  // its rows follow each other
                          .out = y_T.data(),
                          .out_step = width,
                          .out_ahead = 0,
                          .move = {},
                          .sums = Sums::replace},
                         y.cols());
  if (sums == Sums::add) y += y_T.topLeftCorner(y.cols(), y.rows()).transpose();
  else y = y_T.topLeftCorner(y.cols(), y.rows()).transpose();
}

void multiply_few_nn(View dx, const Factor& dy, const Factor& W, Index depth, Sums sums) {
  Eigen::Matrix<real, few_tokens, tile_cols, Eigen::RowMajor> sum;
  for (Index k = 0; k < depth; k += rows_together)
    for (Index i = 0; i < dx.rows(); i += strip_rows<2>)
      multiply_across({.count = dx.cols() / panel_cols,
                       .depth = std::min(rows_together, depth - k),
                       .a = dy.from(i, k),
                       .b = W.from(0, k),
                       .next = W.from(0, k + 2 * rows_together),
                       .out = sum.data() + i * tile_cols,
                       .out_step = tile_cols,
                       .out_ahead = 0,
                       .move = {0, panel_cols, panel_cols, panel_cols},
                       .sums = k == 0 ? Sums::replace : Sums::go_on},
                      std::min(strip_rows<2>, dx.rows() - i));
  if (sums == Sums::add) dx += sum.topLeftCorner(dx.rows(), dx.cols());
  else dx = sum.topLeftCorner(dx.rows(), dx.cols());
}

void multiply_few_tn(View dW, const Factor& dy, const Factor& x, Index depth, Sums sums) {
  for (Index i = 0; i < dW.rows(); i += strip_rows<2>)
    multiply_across({.count = dW.cols() / panel_cols,
                     .depth = depth,
                     .a = dy.from(i, 0),
                     .b = x,
                     .next = x,
                     .out = dW.data() + i * dW.outerStride(),
                     .out_step = dW.outerStride(),
                     .out_ahead = 2 * strip_rows<2>,
                     .move = {0, panel_cols, panel_cols, panel_cols},
                     .sums = sums},
                    std::min(strip_rows<2>, dW.rows() - i));
}

template void multiply_few_nt<1>(View, const Factor&, const Factor&, Index, Sums);
template void multiply_few_nt<2>(View, const Factor&, const Factor&, Index, Sums);

}  // namespace dsv3
