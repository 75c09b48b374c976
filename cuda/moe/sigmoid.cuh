// SPDX-License-Identifier: MIT
/// \file
/// Sigmoid(x) with the bits of reference/moe/sigmoid.hpp where that one's packets fuse products and sums.
#pragma once
#include <cmath>

#include "cuda/core/convert.cuh"

namespace dsv3::cuda {

/// e^x = 2^m e^r, m = floor(x / ln 2 + 1/2), r = x - m ln 2 in two steps, and for e^r the polynomial of Cephes' expf
/// that Eigen's packets evaluate in this order. x is clamped to [-80, 88.723]: above, the result is infinite. Below -80
/// the reference's is smaller, which 1 + e^x cannot show.
DSV3_DEVICE float exponential(float x) {
  constexpr float log2_e = 1.44269504088896341f, least = -80, most = 88.723f;
  x = std::fmax(std::fmin(x, most), least);
  const Whole m = floor_of(std::fma(x, log2_e, 0.5f));
  const float r = std::fma(m.value, 2.12194440e-4f, std::fma(m.value, -0.693359375f, x));
  const float r2 = r * r, r3 = r2 * r;
  const float p = std::fma(std::fma(1.9875691500e-4f, r, 1.3981999507e-3f), r, 8.3334519073e-3f);
  const float q = std::fma(std::fma(4.1665795894e-2f, r, 1.6666665459e-1f), r, 5.0000001201e-1f);
  const float y = std::fma(std::fma(p, r3, q), r2, r + 1);
  return y * float_of(static_cast<std::uint32_t>(m.integer + 126) << 23) * 2;  // 2^128 itself is no FP32 number
}

/// 1 / (1 + e^-x), both operations rounded once: 0 for x <= -88.73. Of a NaN it is some number.
DSV3_DEVICE float sigmoid(float x) { return 1 / (1 + exponential(-x)); }

}  // namespace dsv3::cuda
