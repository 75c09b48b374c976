// SPDX-License-Identifier: MIT
// What this device does at most: a large copy, and cuBLASLt's products of 8192 x 8192 x 8192.
#include <cuda_runtime.h>

#include <algorithm>

#include "cuda/bench/gemm_cases.hpp"
#include "cuda/bench/peers.hpp"
#include "cuda/core/check.hpp"
#include "reference/core/require.hpp"

namespace dsv3::cuda::bench {
namespace {

constexpr Mnk large{8192, 8192, 8192};

/// 4 GiB read and as many written, or what fits.
double bytes_of_copy() {
  std::size_t free = 0, total = 0;
  if (cudaMemGetInfo(&free, &total) != cudaSuccess) return 0;
  constexpr double most = 8.0 * (1 << 30);
  return std::min(most, 0.8 * static_cast<double>(free));
}

/// A call that must be there.
Calls ceiling(Call call) {
  require_world(call.not_supported.empty(), call.name, call.not_supported);
  return {std::move(call), {}};
}

Calls bf16_ceiling(StopWatch& watch) {
  const auto c = std::make_shared<GemmCase>(large, 11);
  const auto a = std::make_shared<Buffer<std::uint16_t>>(random_bf16(std::int64_t{large.M} * large.K, 1));
  const auto b = std::make_shared<Buffer<std::uint16_t>>(random_bf16(std::int64_t{large.N} * large.K, 2));
  Call call = lt_call(
      "cuBLASLt",
      {{LtProduct::Kind::bf16, large.M, large.N, large.K, a->data(), b->data(), nullptr, nullptr, c->out.data()}},
      watch);
  if (call.run) call.run = [run = std::move(call.run), a, b, c] { run(); };
  return ceiling(std::move(call));
}

Calls fp8_ceiling(StopWatch& watch) {
  const auto c = std::make_shared<GemmCase>(large, 12);
  Call call = lt_call("cuBLASLt",
                      {{LtProduct::Kind::fp8_unscaled, large.M, large.N, large.K, c->a.codes().codes,
                        c->b.codes().codes, nullptr, nullptr, c->out.data()}},
                      watch);
  call.wrong = [c] { return c->wrong(of_an_unscaled_peer); };
  call.forget = [c] { c->forget(); };
  return ceiling(std::move(call));
}

}  // namespace

std::vector<Row> ceiling_rows() {
  const double copied = bytes_of_copy();
  return {{"ceiling copy", concat(copied / 2 / (1 << 30), " GiB read and written"), "TB/s", copied,
           [copied](StopWatch&) {
             return Calls{copy_call(copied), {}};
           }},
          {"ceiling bf16", "8192 x 8192 x 8192", "TFLOP/s", flops(large), bf16_ceiling},
          {"ceiling fp8", "8192 x 8192 x 8192, one scale", "TFLOP/s", flops(large), fp8_ceiling}};
}

}  // namespace dsv3::cuda::bench
