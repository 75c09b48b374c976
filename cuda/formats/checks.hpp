// SPDX-License-Identifier: MIT
/// \file
/// What launchers ask of their arguments.
#pragma once
#include <stdexcept>
#include <string>

#include "cuda/formats/quantise.hpp"

namespace dsv3::cuda {

inline void require(bool ok, const std::string& what) {
  if (!ok) throw std::invalid_argument(what);
}

inline bool is_aligned(const void* address) { return reinterpret_cast<std::uintptr_t>(address) % 16 == 0; }

inline void require_rows(const Bf16Rows& x, const std::string& where) {
  require(x.rows >= 0 && x.cols >= 0, where + ": rows and columns must not be negative");
  require(is_aligned(x.data) && x.stride % 8 == 0,
          where + ": the address of BF16 rows must be a multiple of 16 bytes, and so the stride");
  require(x.stride >= x.cols, where + ": a row of BF16 is longer than the stride");
}

/// Codes of `cols` in a row, scales of `scales_in_row`.
inline void require_output(const Fp8Output& out, int cols, int scales_in_row, const std::string& where) {
  require(is_aligned(out.codes) && out.stride % 16 == 0,
          where + ": the address of codes must be a multiple of 16 bytes, and so the stride");
  require(out.stride >= cols, where + ": a row of codes is longer than the stride");
  require(out.scales_stride >= scales_in_row, where + ": a row of scales is longer than their stride");
}

}  // namespace dsv3::cuda
