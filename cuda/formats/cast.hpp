// SPDX-License-Identifier: MIT
/// \file
/// FP32 and BF16 to FP8 and back on the device: the counterparts of reference/formats/cast.hpp, bit for bit.
#pragma once
#include <cstdint>

#include "cuda/core/device.hpp"

namespace dsv3::cuda {

enum class Fp8 { e4m3, e5m2 };

/// codes[i] = encode(format, x[i]) of reference/formats/format.hpp, i < n: to nearest even, saturating (infinities
/// too); a NaN becomes the quiet NaN of its sign, 0x7F or 0xFF of E4M3, 0x7E or 0xFE of E5M2.
/// All throw std::invalid_argument, before any launch, for n < 0 and an address that is no multiple of 16.
void encode(Fp8 format, const float* x, std::int64_t n, std::uint8_t* codes, Stream stream = nullptr);
/// The same of BF16.
void encode(Fp8 format, const std::uint16_t* x, std::int64_t n, std::uint8_t* codes, Stream stream = nullptr);

/// x[i] = decode(format, codes[i]), i < n: exact; a NaN is 0x7FC00000 with the code's sign.
void decode(Fp8 format, const std::uint8_t* codes, std::int64_t n, float* x, Stream stream = nullptr);

}  // namespace dsv3::cuda
