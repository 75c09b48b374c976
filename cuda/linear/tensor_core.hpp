// SPDX-License-Identifier: MIT
/// \file
/// A probe of the tensor core: dot products alone, for comparison with reference/linear/tensor_core.hpp.
#pragma once
#include <cstdint>

#include "cuda/core/device.hpp"

namespace dsv3::cuda {

inline constexpr int probe_rows = 64, probe_cols = 16;  ///< of a tile: those of the smallest wgmma used
inline constexpr int step_products = 32;                ///< that one wgmma adds up

enum class ProbeFormat { e4m3, e5m2 };

/// `tiles` products d = c + a b^T of 64 x 16 dot products, each of `steps` wgmma m64n16k32 one after the other on the
/// same register, which begins as c. In the device's memory: a [tiles, 64, 32 steps], b [tiles, 16, 32 steps] (codes
/// from a multiple of 16 bytes on), c and d [tiles, 64, 16]. No scales, no promotion.
struct WgmmaProbe {
  int tiles, steps;
  ProbeFormat format;
  const std::uint8_t *a, *b;
  const float* c;
  float* d;
};

/// d as the hardware computes it; the played device has the bits of tensor_core_step(hopper_fp8_wgmma).
/// \throws std::invalid_argument where tiles or steps is negative, or a or b no multiple of 16 bytes.
void wgmma_steps(const WgmmaProbe& probe, Stream stream = nullptr);

}  // namespace dsv3::cuda
