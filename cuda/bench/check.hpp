// SPDX-License-Identifier: MIT
/// \file
/// Whether a result is right, before it is timed: some of its elements against the reference, all of them written.
#pragma once
#include <functional>
#include <string>

#include "cuda/bench/operand.hpp"
#include "reference/linear/fp8_gemm.hpp"

namespace dsv3::cuda::bench {

/// How far a result may be off. Bounds hold for any data and grow with K; for random data the rms says more: a block of
/// 128 products that is missing, twice there or wrongly scaled changes it by 1 / sqrt(K / 128).
struct Allowed {
  Accumulation sums = hopper_fp8_wgmma;  ///< an element: fp8_error_bound of these, and the rounding of the result
  bool is_bounded = true;                ///< false: a peer's, whose arithmetic is not published
  bool scaled = true;                    ///< false: a product of the codes alone
  double of_rms = 0x1p-8;  ///< all together: rms of the error over rms of the exact sums, rounding included
};
inline constexpr Allowed of_a_peer{.is_bounded = false, .of_rms = 0x1p-6},
    of_an_unscaled_peer{.is_bounded = false, .scaled = false, .of_rms = 0x1p-6};

/// One product in a case: rows 0 .. M-1 of an expert of `a` with rows 0 .. N-1 of an expert of `b`, summed over
/// first_k .. first_k + depth - 1.
struct Product {
  const Operand *a, *b;
  int expert_a, expert_b;
  int first_a, M, N;  ///< rows first_a .. first_a + M - 1 of a
  int first_k, depth;
};

/// The result's element (i, j) of [M, N], what it was before, and the spacing of results at x: BF16's or FP32's.
struct Result {
  std::function<double(int, int)> at;
  std::function<double(int, int)> before = {};  ///< null: 0
  double rounding = 0x1p-8;  ///< at most this part of a result; FP32: 2^-24 for each of its roundings
};

/// Empty, or the first element that is wrong, with its numbers. Elements: all pairs of the first, the last and some
/// random rows and columns, at least one of every 128 where there are at most 24 such.
std::string what_is_wrong(const Product& product, const Result& result, const Allowed& allowed, std::uint64_t seed);

/// Empty, or how many of the values are the NaN that new buffers are full of.
std::string what_is_unwritten(std::span<const std::uint16_t> bf16);
std::string what_is_unwritten(std::span<const std::uint8_t> codes);

/// first, last and up to 22 others of 0 .. count - 1, ascending, each once.
std::vector<int> some_of(int count, std::uint64_t seed);

}  // namespace dsv3::cuda::bench
