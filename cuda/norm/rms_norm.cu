// SPDX-License-Identifier: MIT
// For each value: 4 bytes read (x, residual), 3 written (r, codes), 2 more where y is asked for in BF16; about 15
// operations. 4096 x 7168 moves 206 MB, a floor of 69 us at 3.0 TB/s; 265 MB and 88 us with y. Three kernels for the
// same (sum, norm, quantise) would move 13 bytes for these 7.
//
// A block of 128 threads has a row, and the row stays in its registers from the only load to the last store: for 7168
// columns seven pieces of eight values each, fourteen loads of 16 bytes under way in every thread. One barrier, for the
// four warps' sums. Sixteen neighbouring threads have a group of 128, as quantise_1x128 wants it. The gain is read from
// the L1 cache, which all blocks of a multiprocessor share.
#include "cuda/norm/rms_norm.hpp"

#include <array>

#include "cuda/core/launch.cuh"
#include "cuda/formats/checks.hpp"
#include "cuda/formats/quantise.cuh"

namespace dsv3::cuda {
namespace {

constexpr int threads = 128, warps = threads / warp_size, width = 8, most_pieces = 8;
constexpr int columns_of_piece = threads * width;

DSV3_DEVICE int column_of(int piece) { return piece * columns_of_piece + thread() * width; }

/// Zeros beyond the row.
DSV3_DEVICE Eight load_row(const Bf16Rows& m, int piece, int d) {
  const int col = column_of(piece);
  return load_eight(m.data + block() * m.stride + col, col < d ? width : 0);
}

DSV3_DEVICE Eight sum_of(const Eight& a, const Eight& b) {
  Eight sum;
  DSV3_UNROLL
  for (int i = 0; i < 4; ++i)
    sum.at[i] = two_bf16(low_bf16(a.at[i]) + low_bf16(b.at[i]), high_bf16(a.at[i]) + high_bf16(b.at[i]));
  return sum;
}

/// Over the block, in every thread.
DSV3_DEVICE float sum_of_block(float of_thread) {
  auto* const of_warps = reinterpret_cast<float*>(shared_memory());
  const float of_warp = warp_sum(of_thread);
  if (lane() == 0) of_warps[warp()] = of_warp;
  sync_threads();
  float sum = of_warps[0];
  for (int i = 1; i < warps; ++i) sum += of_warps[i];
  return sum;
}

DSV3_DEVICE Eight normalised(const Eight& r, float rstd, const float* gain) {
  const Vec<float, 4> low = load<4>(gain), high = load<4>(gain + 4);
  Eight y;
  DSV3_UNROLL
  for (int i = 0; i < 4; ++i) {
    const Vec<float, 4>& g = i < 2 ? low : high;
    y.at[i] = two_bf16(low_bf16(r.at[i]) * rstd * g.at[i % 2 * 2], high_bf16(r.at[i]) * rstd * g.at[i % 2 * 2 + 1]);
  }
  return y;
}

template <int pieces>
DSV3_KERNEL(threads)
normalise(RmsNormQuantise what, Scale kind) {
  const int row = block(), d = what.x.cols;
  Eight r[pieces], residual[pieces];
  DSV3_UNROLL
  for (int i = 0; i < pieces; ++i) {
    r[i] = load_row(what.x, i, d);
    if (what.residual.data != nullptr) residual[i] = load_row(what.residual, i, d);
  }
  float squares = 0;
  DSV3_UNROLL
  for (int i = 0; i < pieces; ++i) {
    if (what.residual.data != nullptr) r[i] = sum_of(r[i], residual[i]);
    if (what.sum.data != nullptr && column_of(i) < d)
      store_eight(what.sum.data + row * what.sum.stride + column_of(i), r[i]);
    DSV3_UNROLL
    for (int j = 0; j < width; ++j) squares = std::fma(value_of(r[i], j), value_of(r[i], j), squares);
  }
  const float rstd = 1 / std::sqrt(sum_of_block(squares) / static_cast<float>(d) + what.eps);
  if (what.rstd != nullptr && thread() == 0) what.rstd[row] = rstd;
  DSV3_UNROLL
  for (int i = 0; i < pieces; ++i) {
    const int col = column_of(i);
    const Eight y = col < d ? normalised(r[i], rstd, what.gain + col) : Eight{};
    if (what.y.data != nullptr && col < d) store_eight(what.y.data + row * what.y.stride + col, y);
    quantise_group(y, {row, col / group_size}, what.x.rows, d, what.codes, kind);
  }
}

using Kernel = void (*)(RmsNormQuantise, Scale);
constexpr std::array<Kernel, most_pieces> kernels{normalise<1>, normalise<2>, normalise<3>, normalise<4>,
                                                  normalise<5>, normalise<6>, normalise<7>, normalise<8>};

void require_bf16_output(const Bf16Output& out, const Bf16Rows& x, const char* where, const char* name) {
  if (out.data != nullptr) require_rows({out.data, x.rows, x.cols, out.stride}, where, name);
}

void require_all(const RmsNormQuantise& what) {
  const char* const where = "rms_norm_quantise";
  const Bf16Rows& x = what.x;
  require_rows(x, where);
  require(x.cols >= width && x.cols % width == 0 && x.cols <= most_pieces * columns_of_piece, where, "x has ", x.cols,
          " columns; needed is a multiple of 8 from 8 to 8192");
  if (what.residual.data != nullptr) {
    require_rows(what.residual, where, "the residual");
    require(what.residual.rows == x.rows && what.residual.cols == x.cols, where, "x is [", x.rows, ", ", x.cols,
            "] but the residual [", what.residual.rows, ", ", what.residual.cols, "]");
  }
  require(is_aligned(what.gain), where, "the gain does not begin at a multiple of 16 bytes");
  require_bf16_output(what.sum, x, where, "the sum"), require_bf16_output(what.y, x, where, "y");
  require_output(what.codes, x.cols, x.rows, where);
}

}  // namespace

void rms_norm_quantise(const RmsNormQuantise& what, Scale scale, Stream stream) {
  require_all(what);
  const auto pieces = static_cast<std::size_t>(ceil_div(what.x.cols, columns_of_piece));
  launch(kernels[pieces - 1],
         {.x = what.x.rows, .threads = threads, .shared_bytes = warps * sizeof(float), .stream = stream}, what, scale);
}

}  // namespace dsv3::cuda
