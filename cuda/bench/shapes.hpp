// SPDX-License-Identifier: MIT
/// \file
/// The products that are measured, and the arithmetic of what they must do.
#pragma once
#include <array>
#include <cstdint>

namespace dsv3::cuda::bench {

/// out [M, N] = a [M, K] b [N, K]^T.
struct Mnk {
  int M, N, K;
};

/// Products of DeepSeek-V3: of a token's latents and heads (2112, 24576, 32768 = the up-projections of q and of k and
/// v, 7168 x 16384 the output of attention), of experts (4096 = gate and up together, 2048 their width).
inline constexpr std::array<Mnk, 6> layers = {
    {{0, 2112, 7168}, {0, 24576, 1536}, {0, 32768, 512}, {0, 7168, 16384}, {0, 4096, 7168}, {0, 7168, 2048}}};
/// Rows of them: tokens of a decoding step, and of a training micro-batch.
inline constexpr std::array<int, 3> batches = {64, 128, 4096};

/// Multiplications and additions.
constexpr double flops(const Mnk& s) { return 2.0 * s.M * s.N * s.K; }

constexpr double groups_of_128(int n) { return (n + 127) / 128; }

/// What a product must move at least: codes and scales once, BF16 results once.
constexpr double bytes(const Mnk& s) {
  const double codes = 1.0 * s.M * s.K + 1.0 * s.N * s.K, out = 2.0 * s.M * s.N;
  const double scales = 4.0 * s.M * groups_of_128(s.K) + 4.0 * groups_of_128(s.N) * groups_of_128(s.K);
  return codes + out + scales;
}

}  // namespace dsv3::cuda::bench
