// SPDX-License-Identifier: MIT
/// \file
/// Products of FP8 codes with group scales on Hopper (report sections 3.3.2 and 3.3.3, Figure 7): the counterparts of
/// reference/linear/fp8_gemm.hpp.
///
/// Numerics contract of every kernel here: of each 128 products along K the tensor core gives a sum p from 0 (the naive
/// and the tiled kernel: FP32, ascending), and on the CUDA cores s = s_a s_b, acc = fma(p, s, acc), both in FP32, in
/// ascending order. So a kernel on wgmma has the bits of fp8_fprop with hopper_fp8_wgmma as far as that model is the
/// hardware's, and naive and tiled those of fp32_sums. The result is rounded to BF16, to nearest even.
///
/// Layouts. Codes lie in rows along K, which is summed over: wgmma takes FP8 in no other way. So Dgrad, dX = dY W,
/// takes the codes and scales of W transposed. Scales of 1x128 tiles lie along the rows of the matrix they belong to
/// ("M-major"): those of one step of K follow each other, as a tile's threads read them.
#pragma once
#include <cstdint>

#include "cuda/core/device.hpp"

namespace dsv3::cuda {

inline constexpr int scale_group = 128;  ///< products along K that share a scale, and are promoted together

/// E4M3 codes [rows, K], row after row each `stride` bytes: a multiple of 16, as the address is.
struct Fp8Rows {
  const std::uint8_t* codes;
  std::int64_t stride;
};

/// Scales of tiles 1x128: that of row i and of the k-th 128 columns is data[k * stride + i].
struct TileScales {
  const float* data;
  std::int64_t stride;
};

/// Scales of blocks 128x128: that of the n-th 128 rows and the k-th 128 columns is data[n * stride + k].
struct BlockScales {
  const float* data;
  std::int64_t stride;
};

/// out = a b^T: a [M, K] in tiles of 1x128, b [N, K] in blocks of 128x128, out [M, N] in BF16, row after row each
/// `out_stride` values. N and out_stride are even; any M and K >= 0.
struct Fp8Gemm {
  int M, N, K;
  Fp8Rows a;
  TileScales a_scales;
  Fp8Rows b;
  BlockScales b_scales;
  std::uint16_t* out;
  std::int64_t out_stride;
};

/// The ladder, each rung faster than the one before: docs/cuda_gemm.md.
enum class Rung {
  naive,      ///< a thread for each element
  tiles,      ///< tiles in shared memory
  wgmma,      ///< tensor cores; threads copy the tiles
  ring,       ///< TMA fills a ring of tiles while two warpgroups multiply and promote
  persistent  ///< blocks that stay, tiles in an order for the L2 cache, their width chosen by a cost model
};

/// \throws std::invalid_argument where M, N or K is negative, N or out_stride is odd, a stride is shorter than what it
/// separates, or a stride of codes or an address is no multiple of 16 bytes (out: of 4).
void fp8_gemm(const Fp8Gemm& gemm, Rung rung = Rung::persistent, Stream stream = nullptr);

/// For experts, "contiguous": rows of a and out belong to the expert expert_of_block[i / 128] for row i, whose weight
/// is the matrix of that number in b: [experts, N, K], scales [experts, ceil(N / 128), ceil(K / 128)]. A negative
/// expert: the 128 rows are padding and out is not written.
struct Fp8GroupedGemm {
  Fp8Gemm gemm;  ///< b and b_scales: those of expert 0; the others follow
  int num_experts;
  const int* expert_of_block;  ///< [ceil(M / 128)], on the device; below num_experts, which nobody checks
};
void fp8_gemm_grouped(const Fp8GroupedGemm& grouped, Stream stream = nullptr);

/// For experts, "masked": a is [experts, M, K] and out [experts, M, N], of which the first rows[e] rows are used; the
/// others of out are not written. Scales of a: [experts, ceil(K / 128), stride]. K >= 1.
struct Fp8MaskedGemm {
  Fp8Gemm gemm;  ///< M: of each expert
  int num_experts;
  const int* rows;  ///< [experts], 0 .. M, which nobody checks, on the device
};
void fp8_gemm_masked(const Fp8MaskedGemm& masked, Stream stream = nullptr);

/// Wgrad: dW += a b^T in FP32, where a = dY^T [M, K] and b = X^T [N, K] are both in tiles of 1x128 along the tokens K:
/// what was quantised in groups of 128x1 and transposed. dW [M, N], row after row each `out_stride` values.
/// Contract: acc as above from 0, then dW = dW + acc, rounded to FP32.
struct Fp8Wgrad {
  int M, N, K;
  Fp8Rows a;
  TileScales a_scales;
  Fp8Rows b;
  TileScales b_scales;
  float* out;
  std::int64_t out_stride;
};
void fp8_wgrad(const Fp8Wgrad& wgrad, Stream stream = nullptr);

/// For experts, "K-grouped": expert e has the tokens begin[e] .. begin[e + 1] - 1, both multiples of 128, and the e-th
/// matrix of out: [experts, M, N]. An expert without tokens keeps its dW.
struct Fp8GroupedWgrad {
  Fp8Wgrad wgrad;
  int num_experts;
  const int* begin;  ///< [experts + 1], on the device
};
void fp8_wgrad_grouped(const Fp8GroupedWgrad& grouped, Stream stream = nullptr);

}  // namespace dsv3::cuda
