// SPDX-License-Identifier: MIT
#include "cuda/bench/peers.hpp"

#include <algorithm>

#include "cuda/core/check.hpp"
#include "reference/core/require.hpp"
#include "reference/formats/bf16.hpp"

namespace dsv3::cuda::bench {

Call lt_call(std::string name, const std::vector<LtProduct>& products, StopWatch& watch) {
  try {
    const auto matmuls = std::make_shared<std::vector<LtMatmul>>();
    for (const LtProduct& product : products) {
      matmuls->emplace_back(product);
      if (matmuls->size() == 1) matmuls->front().choose(watch);
      else matmuls->back().choose_as(matmuls->front());
    }
    name += concat(", best of ", matmuls->front().num_algorithms());
    return {std::move(name), [matmuls] {
              for (LtMatmul& matmul : *matmuls) matmul();
            }};
  } catch (const NotSupported& error) {
    return {.name = std::move(name), .run = {}, .not_supported = error.what()};
  }
}

Buffer<std::uint16_t> as_bf16(const Operand& operand) {
  std::vector<std::uint16_t> values;
  values.reserve(operand.host_codes().size());
  const auto& of_codes = values_of(FormatId::e4m3);
  for (const std::uint8_t code : operand.host_codes()) values.push_back(bf16_from_float(of_codes[code]));
  return Buffer<std::uint16_t>(values);
}

namespace {

/// The same random bytes again and again: a copy of as many as L2 never finds them there.
void fill_with_random(Memory& memory) {
  constexpr std::size_t piece = std::size_t{64} << 20;
  const std::vector<std::uint8_t> random = random_codes(static_cast<std::int64_t>(std::min(piece, memory.bytes())), 1);
  auto* const to = static_cast<std::byte*>(memory.data());
  for (std::size_t at = 0; at < memory.bytes(); at += piece)
    DSV3_CUDA_CHECK(cudaMemcpy(to + at, random.data(), std::min(piece, memory.bytes() - at), cudaMemcpyHostToDevice));
}

}  // namespace

Call copy_call(double bytes) {
  const auto half = static_cast<std::size_t>(bytes / 2);
  const auto from = std::make_shared<Memory>(half), to = std::make_shared<Memory>(half);
  fill_with_random(*from);
  return {"copy of as many bytes", [from, to, half] {
            DSV3_CUDA_CHECK(cudaMemcpyAsync(to->data(), from->data(), half, cudaMemcpyDeviceToDevice, nullptr));
          }};
}

}  // namespace dsv3::cuda::bench
