// SPDX-License-Identifier: MIT
/// \file
/// E5M6, the 12-bit format of the inputs of the Linear after attention (report section 3.3.3): packing, and the cast of
/// DeepSeek's TileKernels. Everything else is FormatId::e5m6 in format.hpp and quantise16 in quantise.hpp.
#pragma once
#include "reference/formats/quantised.hpp"

namespace dsv3 {

using Words = Eigen::Matrix<std::uint32_t, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// 8 codes h0 .. h7 of 12 bits in 3 words, from the top: h0<<20 | h1<<8 | h2>>4; h2<<28 | h3<<16 | h4<<4 | h5>>8;
/// h5<<24 | h6<<12 | h7. [rows, cols] -> [rows, 3 ceil(cols / 8)]; a last group of fewer than 8 is filled with 0.
/// Throws std::invalid_argument for a code above 0xFFF.
Words pack_e5m6(const Codes16& q);

/// The codes of `cols` columns back. Throws std::invalid_argument unless there are 3 ceil(cols / 8) words in a row.
Codes16 unpack_e5m6(const Words& words, Index cols);

/// TileKernels' float_to_e5m6 (quant/per_token_cast_to_e5m6_kernel.py), bit for bit: x is cut to FP16 toward zero, that
/// to 12 bits, and 1 is added if x's low 17 bits are more than half or an odd code's half. For 2^-14 <= |x| < 65280
/// that is nearest even. Below, those 17 bits are not all that was cut off, and the code may be the other neighbour.
/// Above, FP16 has been cut to 65504, so the low bits decide between 65024 and infinity, whatever x is. A NaN is cut to
/// 0x7FF and may be carried to 0x800, which is -0.
std::uint32_t e5m6_by_tile_kernels(float x);

}  // namespace dsv3
