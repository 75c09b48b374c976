// SPDX-License-Identifier: MIT
/// \file
/// encode() and decode() without branches, for loops that the compiler turns into vector instructions.
#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>

#include "reference/formats/format.hpp"

namespace dsv3 {

/// BF16's exponents leave FP32 no room for the sum below; UE8M0 and INT8 have no sign bit.
constexpr bool has_encode_lane(FormatId id) { return format(id).sign == Sign::magnitude && id != FormatId::bf16; }

/// What is known of a format before the first value of many.
class EncodeLane {
 public:
  constexpr EncodeLane(const Format& f, Overflow overflow)
      : least_(static_cast<std::uint32_t>(f.min_exponent() + 127) << 23),
        carry_(static_cast<std::uint32_t>(23 - f.fraction_bits) << 23),
        shift_(23 - f.fraction_bits),
        sign_shift_(32 - f.bits()),
        sign_(f.sign_bit()) {
    // What is beyond the largest value becomes the next code: infinity of E5M2, NaN of E4M3.
    const bool next = overflow == Overflow::non_saturate && f.specials != Specials::none;
    const std::uint32_t top = f.largest_code() + (next ? 1 : 0);
    most_ = least_ + ((top - (1u << f.fraction_bits)) << shift_);
    const std::uint32_t quiet = f.specials == Specials::ieee
                                    ? f.largest_code() + 1 + (1u << (f.fraction_bits - 1))
                                    : (f.specials == Specials::one_nan ? f.largest_code() + 1 : sign_);
    nan_flips_ = top ^ quiet;
  }

  /// encode(x) to nearest even. Adding 2^(23 - fraction_bits) times the power of two below |x| (or the least normal
  /// one) leaves in the sum's low bits |x| in units of the format's last place, rounded to nearest even by the FP32
  /// addition; the exponent is put back above them.
  std::uint32_t operator()(float x) const {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t magnitude = bits & 0x7FFF'FFFFu, kept = std::min(magnitude, most_);
    const std::uint32_t binade = std::max(kept & 0x7F80'0000u, least_), carrier = binade + carry_;
    const float sum = std::bit_cast<float>(kept) + std::bit_cast<float>(carrier);
    const std::uint32_t code = std::bit_cast<std::uint32_t>(sum) - carrier + ((binade - least_) >> shift_);
    const std::uint32_t is_nan = static_cast<std::int32_t>(magnitude) > 0x7F80'0000 ? nan_flips_ : 0;
    return (code | ((bits >> sign_shift_) & sign_)) ^ is_nan;
  }

 private:
  std::uint32_t least_, carry_;
  int shift_, sign_shift_;
  std::uint32_t sign_, most_ = 0, nan_flips_ = 0;
};

/// decode() of a format with a sign bit and at most 16 bits.
class DecodeLane {
 public:
  constexpr explicit DecodeLane(const Format& f)
      : shift_(23 - f.fraction_bits),
        sign_shift_(32 - f.bits()),
        magnitude_((1u << f.magnitude_bits()) - 1),
        hidden_(1u << f.fraction_bits),
        rebias_(static_cast<std::uint32_t>(127 - f.bias) << 23),
        last_finite_(static_cast<std::int32_t>(f.largest_code())),
        infinity_(f.specials == Specials::ieee ? static_cast<std::int32_t>(f.largest_code() + 1) : -1),
        least_(std::bit_cast<float>(static_cast<std::uint32_t>(f.min_exponent() + 127) << 23)) {}

  /// A subnormal code F is read as the normal number 2^(1 - bias) (1 + F / 2^fraction_bits), less its leading one.
  float operator()(std::uint32_t code) const {
    const std::uint32_t magnitude = code & magnitude_;
    const bool subnormal = static_cast<std::int32_t>(magnitude) < static_cast<std::int32_t>(hidden_);
    const std::uint32_t bits = ((magnitude + (subnormal ? hidden_ : 0)) << shift_) + rebias_;
    const float value = std::bit_cast<float>(bits) - (subnormal ? least_ : 0.0f);
    const auto finite = std::bit_cast<std::uint32_t>(value);
    const auto m = static_cast<std::int32_t>(magnitude);
    const std::uint32_t special = m == infinity_ ? 0x7F80'0000u : 0x7FC0'0000u;
    return std::bit_cast<float>((m > last_finite_ ? special : finite) | ((code << sign_shift_) & 0x8000'0000u));
  }

 private:
  int shift_, sign_shift_;
  std::uint32_t magnitude_, hidden_, rebias_;
  std::int32_t last_finite_, infinity_;
  float least_;
};

}  // namespace dsv3
