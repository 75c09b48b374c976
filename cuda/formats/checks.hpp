// SPDX-License-Identifier: MIT
/// \file
/// What kernels that quantise refuse, before anything is launched.
#pragma once
#include "cuda/formats/quantise.hpp"
#include "reference/core/require.hpp"

namespace dsv3::cuda {

inline bool is_aligned(const void* address) { return reinterpret_cast<std::uintptr_t>(address) % 16 == 0; }

inline void require_rows(const Bf16Rows& x, const char* where, const char* name = "x") {
  require(x.rows >= 0 && x.cols >= 0, where, name, " is [", x.rows, ", ", x.cols, "]; neither may be negative");
  require(x.stride % 8 == 0 && x.stride >= x.cols, where, "the rows of ", name, " are ", x.stride,
          " values apart; needed is a multiple of 8 that holds ", x.cols);
  require(is_aligned(x.data), where, name, " does not begin at a multiple of 16 bytes");
}

/// Codes of `cols` in a row, scales of `scales_in_row`.
inline void require_output(const Fp8Output& out, int cols, int scales_in_row, const char* where,
                           const char* name = "the codes") {
  require(out.stride % 16 == 0 && out.stride >= cols, where, "the rows of ", name, " are ", out.stride,
          " bytes apart; needed is a multiple of 16 that holds ", cols);
  require(is_aligned(out.codes), where, name, " do not begin at a multiple of 16 bytes");
  require(out.scales_stride >= scales_in_row, where, "the scales of ", name, " are ", out.scales_stride,
          " values apart; needed are at least ", scales_in_row);
}

}  // namespace dsv3::cuda
