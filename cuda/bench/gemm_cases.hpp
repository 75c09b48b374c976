// SPDX-License-Identifier: MIT
/// \file
/// The products of fp8_gemm.hpp as they are measured: operands, the call, and whether its result is right. Plain C++,
/// so that tests run every case small on the CPU that plays a device.
#pragma once
#include "cuda/bench/check.hpp"
#include "cuda/bench/shapes.hpp"
#include "cuda/linear/fp8_gemm.hpp"

namespace dsv3::cuda::bench {

/// What the sums of a rung are: fp8_gemm.hpp.
constexpr Accumulation sums_of(Rung rung) {
  return rung == Rung::naive || rung == Rung::tiles ? fp32_sums : hopper_fp8_wgmma;
}

class GemmCase {
 public:
  GemmCase(const Mnk& shape, std::uint64_t seed);

  void call(Rung rung);
  /// Of the last call's result, ours or a peer's.
  std::string wrong(const Allowed& allowed) const;
  void forget() { out.fill(0xFF); }

  const Mnk shape;
  const Operand a, b;
  Buffer<std::uint16_t> out;

 private:
  std::uint64_t seed_;
};

/// As many rows for each expert, a multiple of 128, one expert after the other.
class GroupedCase {
 public:
  GroupedCase(int experts, const Mnk& of_expert, std::uint64_t seed);

  void call();
  std::string wrong(const Allowed& allowed) const;
  void forget() { out.fill(0xFF); }

  const int experts;
  const Mnk shape;  ///< of each expert
  const Operand a, b;
  Buffer<std::uint16_t> out;

 private:
  std::uint64_t seed_;
  const Buffer<int> expert_of_block_;
};

/// rows[e] of shape.M rows are used.
class MaskedCase {
 public:
  MaskedCase(std::vector<int> rows, const Mnk& of_expert, std::uint64_t seed);

  void call();
  /// Also whether a row that is not used was written; a peer may write them.
  std::string wrong(const Allowed& allowed) const;
  void forget() { out.fill(0xFF); }

  const std::vector<int> rows;
  const Mnk shape;
  const Operand a, b;
  Buffer<std::uint16_t> out;

 private:
  std::uint64_t seed_;
  const Buffer<int> rows_;
};

/// dW [M, N] += a [M, K] b [N, K]^T, K the tokens.
class WgradCase {
 public:
  WgradCase(const Mnk& shape, std::uint64_t seed);

  void call();
  std::string wrong(const Allowed& allowed) const;
  void forget();  ///< the values before again

  const Mnk shape;
  const Operand a, b;
  Buffer<float> out;

 private:
  std::uint64_t seed_;
  const std::vector<float> before_;
};

}  // namespace dsv3::cuda::bench
