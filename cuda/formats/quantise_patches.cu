// SPDX-License-Identifier: MIT
// Groups of 128x1 transposed, and blocks of 128x128 in both orders. For each value 2 bytes are read and 1 written (2
// for blocks in both orders): 4096 x 7168 moves 89 MB (117 MB), a floor of 29.7 us (39 us) at 3.0 TB/s; about 8 (14)
// operations for each value, 8 us (14 us) of the CUDA cores' time.
//
// A transposition usually goes through shared memory. Here a lane holds 16 rows of 8 columns (64 registers), so that a
// warp has whole groups of 128 rows: the largest magnitude of a column is in eight lanes, three shuffles away, two
// columns in a word; and 16 codes of a column are 16 neighbouring bytes of the transposed matrix, those of eight lanes
// a line. Only the one scale of a block of 128x128 needs shared memory and a barrier; each lane has 16 loads of 16
// bytes under way.
#include "cuda/core/launch.cuh"
#include "cuda/formats/checks.hpp"
#include "cuda/formats/quantise.cuh"

namespace dsv3::cuda {
namespace {

using patches::Place;

struct Patch {
  Eight row[patches::rows];
};

DSV3_DEVICE Patch load_patch(const Bf16Rows& x, Place from) {
  Patch patch;
  DSV3_UNROLL
  for (int i = 0; i < patches::rows; ++i)
    patch.row[i] =
        load_eight(x.data + (from.row + i) * x.stride + from.col, from.row + i < x.rows ? x.cols - from.col : 0);
  return patch;
}

/// Of each column, two in a word.
DSV3_DEVICE Eight amax_of_columns(const Patch& patch) {
  Eight most{};
  DSV3_UNROLL
  for (int i = 0; i < patches::rows; ++i)
    for (int j = 0; j < 4; ++j) most.at[j] = max_of_halves(most.at[j], magnitudes(patch.row[i].at[j]));
  return most;
}

/// The codes of column j, to row `col + j` of the transposed matrix.
DSV3_DEVICE void store_column(const Patch& patch, int j, Place from, const Bf16Rows& x, const Fp8Output& out,
                              const Divisor& by) {
  Vec<std::uint16_t, patches::rows / 2> codes;
  DSV3_UNROLL
  for (int i = 0; i < patches::rows; i += 2)
    codes.at[i / 2] = two_codes(value_of(patch.row[i], j), value_of(patch.row[i + 1], j), by);
  if (from.col + j < x.cols)
    store_codes<patches::rows>(out.codes + (from.col + j) * out.stride + from.row, codes, x.rows - from.row);
}

DSV3_KERNEL(patches::threads) quantise_columns(Bf16Rows x, Fp8Output out, Scale kind) {
  const Place from = patches::place_of(block(), thread(), x.cols);
  const Patch patch = load_patch(x, from);
  Eight most = amax_of_columns(patch);
  DSV3_UNROLL
  for (int mask = patches::lanes_wide; mask < warp_size; mask *= 2)
    for (int j = 0; j < 4; ++j) most.at[j] = max_of_halves(most.at[j], shuffle_xor(most.at[j], mask));

  float* const scales = out.scales + from.row / group_size * out.scales_stride + from.col;
  DSV3_UNROLL
  for (int j = 0; j < patches::cols; ++j) {
    const float s = group_scale(bits_of(value_of(most, j)), kind);
    store_column(patch, j, from, x, out, Divisor(s));
    if (from.row % group_size == 0 && from.col + j < x.cols) scales[j] = s;
  }
}

/// The largest magnitude of the block's values, in every thread.
DSV3_DEVICE std::uint32_t amax_of_block(const Patch& patch) {
  auto* const of_warps = reinterpret_cast<std::uint32_t*>(shared_memory());
  const std::uint32_t of_warp = warp_max(amax_of(amax_of_columns(patch)));
  if (lane() == 0) of_warps[warp()] = of_warp;
  sync_threads();
  std::uint32_t most = 0;
  DSV3_UNROLL
  for (int i = 0; i < patches::threads / warp_size; ++i) most = of_warps[i] > most ? of_warps[i] : most;
  return most;
}

/// `transposed` has no codes: not asked for.
DSV3_KERNEL(patches::threads) quantise_blocks(Bf16Rows x, Fp8Output out, Fp8Output transposed, Scale kind) {
  const Place from = patches::place_of(block(), thread(), x.cols);
  const Patch patch = load_patch(x, from);
  const Divisor by(group_scale(amax_of_block(patch), kind));
  const int n = from.row / group_size, k = from.col / group_size;
  DSV3_UNROLL
  for (int i = 0; i < patches::rows; ++i)
    if (from.row + i < x.rows)
      store_codes<patches::cols>(out.codes + (from.row + i) * out.stride + from.col, codes_of(patch.row[i], by),
                                 x.cols - from.col);
  if (thread() == 0) out.scales[n * out.scales_stride + k] = by.s;
  if (transposed.codes == nullptr) return;
  DSV3_UNROLL
  for (int j = 0; j < patches::cols; ++j) store_column(patch, j, from, x, transposed, by);
  if (thread() == 0) transposed.scales[k * transposed.scales_stride + n] = by.s;
}

}  // namespace

void quantise_128x1_transposed(const Bf16Rows& x, const Fp8Output& out, Scale scale, Stream stream) {
  require_rows(x, "quantise_128x1_transposed");
  require_output(out, x.rows, x.cols, "quantise_128x1_transposed");
  if (x.rows == 0 || x.cols == 0) return;
  launch(quantise_columns, {.x = patches::num_blocks(x.rows, x.cols), .threads = patches::threads, .stream = stream}, x,
         out, scale);
}

void quantise_128x128(const Bf16Rows& x, const Fp8Output& out, const Fp8Output* transposed, Scale scale,
                      Stream stream) {
  const char* const where = "quantise_128x128";
  require_rows(x, where);
  require_output(out, x.cols, ceil_div(x.cols, group_size), where);
  if (transposed != nullptr) {
    require(transposed->codes != nullptr || x.rows == 0 || x.cols == 0, where,
            "there is no place for transposed codes");
    require_output(*transposed, x.rows, ceil_div(x.rows, group_size), where, "the transposed codes");
  }
  if (x.rows == 0 || x.cols == 0) return;
  const Launch how{.x = patches::num_blocks(x.rows, x.cols),
                   .threads = patches::threads,
                   .shared_bytes = patches::threads / warp_size * sizeof(std::uint32_t),
                   .stream = stream};
  launch(quantise_blocks, how, x, out, transposed != nullptr ? *transposed : Fp8Output{}, scale);
}

}  // namespace dsv3::cuda
