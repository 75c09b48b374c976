// SPDX-License-Identifier: MIT
/// \file
/// BF16 codes in kernels.
#pragma once
#include "cuda/core/kernel.cuh"

#ifndef __CUDACC__
#include "reference/formats/bf16.hpp"
#endif

namespace dsv3::cuda {

/// The code of the nearest BF16 value, ties to even; any NaN gives 0x7FFF.
DSV3_DEVICE std::uint16_t bf16_of(float x) {
#ifdef __CUDACC__
  std::uint16_t code;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(code) : "f"(x));
  return code;
#else
  return x != x ? std::uint16_t{0x7FFF} : bf16_from_float(x);
#endif
}

DSV3_DEVICE float float_of_bf16(std::uint16_t code) {
#ifdef __CUDACC__
  return __uint_as_float(static_cast<unsigned>(code) << 16);
#else
  return float_from_bf16(code);
#endif
}

}  // namespace dsv3::cuda
