// SPDX-License-Identifier: MIT
/// \file
/// E4M3 codes in kernels that multiply on the CUDA cores.
#pragma once
#include "cuda/core/kernel.cuh"

#ifndef __CUDACC__
#include "reference/formats/format.hpp"
#endif

namespace dsv3::cuda {

/// The values of the codes in the low and the high byte: exact, as FP16 holds every one of them.
DSV3_DEVICE Vec<float, 2> values_of_e4m3(std::uint16_t codes) {
#ifdef __CUDACC__
  Vec<float, 2> values;
  asm("{\n"
      ".reg .b32 halves;\n"
      ".reg .b16 low, high;\n"
      "cvt.rn.f16x2.e4m3x2 halves, %2;\n"
      "mov.b32 {low, high}, halves;\n"
      "cvt.f32.f16 %0, low;\n"
      "cvt.f32.f16 %1, high;\n"
      "}\n"
      : "=f"(values.at[0]), "=f"(values.at[1])
      : "h"(codes));
  return values;
#else
  const auto& values = values_of(FormatId::e4m3);
  return {{values[codes & 0xFF], values[codes >> 8]}};
#endif
}

}  // namespace dsv3::cuda
