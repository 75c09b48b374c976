// SPDX-License-Identifier: MIT
// Forward, for each z: 4 bytes read, 1 written and 4 / 128 of scales; about 40 operations, of which the sigmoid takes
// 25. 31104 rows of 2 x 2048 move 321 MB, a floor of 107 us at 3.0 TB/s; the operations are about 90 us of the CUDA
// cores' time (132 x 128 lanes at 1.7 GHz), so that they must run beside the loads. Backward, for each z: 6 bytes read,
// 2 written and 8 / 128; 31104 rows move 514 MB, 171 us.
//
// Forward goes as quantise_1x128: sixteen lanes take a group of both halves. Backward gives a row to a warp, so that
// the sum for the routing weight needs five shuffles and no barrier. The exponential has the reference's bits
// (sigmoid.cuh); the device's own would save ten operations and lose the equality with the oracle.
#include "cuda/moe/swiglu.hpp"

#include "cuda/core/launch.cuh"
#include "cuda/formats/checks.hpp"
#include "cuda/formats/quantise.cuh"
#include "cuda/moe/sigmoid.cuh"

namespace dsv3::cuda {
namespace {

constexpr int forward_rounds = 2;  // of row_tiles' four at a time: both halves stay in registers
constexpr int backward_threads = 128, backward_rows = backward_threads / warp_size;

DSV3_DEVICE float activated(float a, float b, float weight, bool is_weighted) {
  const float z = a * sigmoid(a) * b;
  return is_weighted ? z * weight : z;
}

DSV3_DEVICE Eight activated(const Eight& a, const Eight& b, float weight, bool is_weighted) {
  Eight z;
  DSV3_UNROLL
  for (int i = 0; i < 4; ++i)
    z.at[i] = two_bf16(activated(low_bf16(a.at[i]), low_bf16(b.at[i]), weight, is_weighted),
                       activated(high_bf16(a.at[i]), high_bf16(b.at[i]), weight, is_weighted));
  return z;
}

DSV3_KERNEL(row_tiles::threads) forward(Bf16Rows x, const float* weight, Fp8Output out, Scale kind) {
  using namespace row_tiles;
  const int f = x.cols / 2, groups = f / group_size, team_of_block = thread() / team, place = lane() % team;
  for (int first = 0; first < rounds; first += forward_rounds) {
    Eight a[forward_rounds], b[forward_rounds];
    float g[forward_rounds];
    DSV3_UNROLL
    for (int i = 0; i < forward_rounds; ++i) {
      const Group group = group_of(block(), team_of_block, first + i, groups);
      const bool inside = group.row < x.rows && group.k < groups;
      const std::uint16_t* const from = x.data + group.row * x.stride + group.k * group_size + place * per_lane;
      a[i] = load_eight(from, inside ? per_lane : 0);
      b[i] = load_eight(from + f, inside ? per_lane : 0);
      g[i] = inside && weight != nullptr ? weight[group.row] : 1;
    }
    DSV3_UNROLL
    for (int i = 0; i < forward_rounds; ++i) {
      const Group group = group_of(block(), team_of_block, first + i, groups);
      quantise_group(activated(a[i], b[i], g[i], weight != nullptr), group, x.rows, f, out, kind);
    }
  }
}

struct Gradient {
  float a, b, weight;  ///< of one element; weight: the sum with this element's term
};

DSV3_DEVICE Gradient gradient_of(float a, float b, float dz, float weight, bool is_weighted, float sum) {
  const float sigma = sigmoid(a), d = is_weighted ? dz * weight : dz;
  return {d * b * sigma * (1 + a * (1 - sigma)), d * a * sigma, std::fma(dz, a * sigma * b, sum)};
}

/// Of eight elements; adds to `sum`.
struct EightGradients {
  Eight a, b;
};
DSV3_DEVICE EightGradients gradients_of(const Eight& a, const Eight& b, const Eight& dz, float weight, bool is_weighted,
                                        float& sum) {
  EightGradients d;
  DSV3_UNROLL
  for (int i = 0; i < 4; ++i) {
    const Gradient low =
        gradient_of(low_bf16(a.at[i]), low_bf16(b.at[i]), low_bf16(dz.at[i]), weight, is_weighted, sum);
    const Gradient high =
        gradient_of(high_bf16(a.at[i]), high_bf16(b.at[i]), high_bf16(dz.at[i]), weight, is_weighted, low.weight);
    d.a.at[i] = two_bf16(low.a, high.a), d.b.at[i] = two_bf16(low.b, high.b), sum = high.weight;
  }
  return d;
}

DSV3_KERNEL(backward_threads)
backward(Bf16Rows x, const float* weight, Bf16Rows dz, Fp8Output dx, float* d_weight, Scale kind) {
  const int row = block() * backward_rows + warp(), f = dz.cols;
  if (row >= x.rows) return;
  const float g = weight != nullptr ? weight[row] : 1;
  float sum = 0;
  for (int first = 0; first < f; first += warp_size * row_tiles::per_lane) {
    const int col = first + lane() * row_tiles::per_lane, count = f - col;
    const std::uint16_t* const from = x.data + row * x.stride + col;
    const Eight a = load_eight(from, count), b = load_eight(from + f, count);
    const Eight of_z = load_eight(dz.data + row * dz.stride + col, count);
    const EightGradients d = gradients_of(a, b, of_z, g, weight != nullptr, sum);
    const int k = col / group_size;  // beyond f for lanes that have nothing left: neither group exists
    quantise_group(d.a, {row, k}, x.rows, f, dx, kind);
    quantise_group(d.b, {row, k + f / group_size}, x.rows, x.cols, dx, kind);
  }
  sum = warp_sum(sum);
  if (d_weight != nullptr && lane() == 0) d_weight[row] = sum;
}

void require_halves(const Bf16Rows& x, const char* where) {
  require_rows(x, where);
  require(x.cols % (2 * group_size) == 0, where, "x has ", x.cols, " columns; each half needs a multiple of 128");
}

}  // namespace

void swiglu_quantise(const Bf16Rows& x, const float* weight, const Fp8Output& out, Scale scale, Stream stream) {
  require_halves(x, "swiglu_quantise");
  require_output(out, x.cols / 2, x.rows, "swiglu_quantise");
  if (x.rows == 0 || x.cols == 0) return;
  const int blocks = row_tiles::num_blocks(x.rows, x.cols / 2 / group_size);
  launch(forward, {.x = blocks, .threads = row_tiles::threads, .stream = stream}, x, weight, out, scale);
}

void swiglu_backward_quantise(const Bf16Rows& x, const float* weight, const Bf16Rows& dz, const Fp8Output& dx,
                              float* d_weight, Scale scale, Stream stream) {
  const char* const where = "swiglu_backward_quantise";
  require_halves(x, where), require_rows(dz, where, "dz");
  require(dz.rows == x.rows && dz.cols == x.cols / 2, where, "x is [", x.rows, ", ", x.cols, "] but dz is [", dz.rows,
          ", ", dz.cols, "]; it needs the rows of x and half its columns");
  require_output(dx, x.cols, x.rows, where);
  if (x.rows == 0) return;
  const Launch how{.x = ceil_div(x.rows, backward_rows), .threads = backward_threads, .stream = stream};
  launch(backward, how, x, weight, dz, dx, d_weight, scale);
}

}  // namespace dsv3::cuda
