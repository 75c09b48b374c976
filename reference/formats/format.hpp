// SPDX-License-Identifier: MIT
/// \file
/// The number formats of FP8 training, one row each, and the one function that rounds to them (report section 3.3).
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace dsv3 {

enum class FormatId : std::uint8_t { e4m3, e5m2, e5m6, ue8m0, bf16, fp16, e3m2, e2m3, e2m1, int8 };

enum class Sign : std::uint8_t {
  none,
  magnitude,       ///< the top bit, as in IEEE 754: there is a -0
  twos_complement  ///< the whole code is a signed integer: one zero, one more negative value than positive ones
};

/// What the codes of the highest exponent mean.
enum class Specials : std::uint8_t {
  none,     ///< all are numbers
  one_nan,  ///< all bits set (sign apart) is NaN, the rest are numbers ("fn")
  ieee      ///< fraction 0 is infinity, the others are NaN
};

/// A code is S EEEE FFF. Its value is 2^(E - bias) (1 + F / 2^fraction_bits), and for E = 0 the subnormal
/// 2^(1 - bias) F / 2^fraction_bits; S makes it negative.
struct Format {
  std::string_view name;
  Sign sign;
  int exponent_bits, fraction_bits, bias;
  Specials specials;
  float largest;  ///< finite value

  constexpr int magnitude_bits() const { return exponent_bits + fraction_bits; }
  constexpr int bits() const { return magnitude_bits() + (sign == Sign::none ? 0 : 1); }
  constexpr int min_exponent() const { return 1 - bias; }  ///< of a normal number
  /// Of the largest normal number: OCP's emax.
  constexpr int max_exponent() const { return static_cast<int>(largest_code() >> fraction_bits) - bias; }
  constexpr bool has_zero() const { return fraction_bits != 0; }
  constexpr std::uint32_t sign_bit() const { return sign == Sign::none ? 0 : 1u << magnitude_bits(); }
  constexpr std::uint32_t largest_code() const {
    const std::uint32_t all = (1u << magnitude_bits()) - 1;
    if (specials == Specials::ieee) return all - (1u << fraction_bits);
    return specials == Specials::one_nan ? all - 1 : all;
  }
};

/// By FormatId. UE8M0 has neither zero nor subnormals: code 0 is 2^-127. INT8 is the element of MXINT8, a fixed-point
/// number with 6 bits after the point: multiples of 1/64 from -2 to 127/64.
inline constexpr std::array<Format, 10> formats{{
    //  name    sign                 E  F   bias  highest codes       largest
    {"e4m3", Sign::magnitude, 4, 3, 7, Specials::one_nan, 448.0f},
    {"e5m2", Sign::magnitude, 5, 2, 15, Specials::ieee, 57344.0f},
    {"e5m6", Sign::magnitude, 5, 6, 15, Specials::ieee, 65024.0f},
    {"ue8m0", Sign::none, 8, 0, 127, Specials::one_nan, 0x1p127f},
    {"bf16", Sign::magnitude, 8, 7, 127, Specials::ieee, 0x1.FEp127f},
    {"fp16", Sign::magnitude, 5, 10, 15, Specials::ieee, 65504.0f},
    {"e3m2", Sign::magnitude, 3, 2, 3, Specials::none, 28.0f},
    {"e2m3", Sign::magnitude, 2, 3, 1, Specials::none, 7.5f},
    {"e2m1", Sign::magnitude, 2, 1, 1, Specials::none, 6.0f},
    {"int8", Sign::twos_complement, 0, 7, 0, Specials::none, 127.0f / 64},
}};

constexpr const Format& format(FormatId id) { return formats[static_cast<std::size_t>(id)]; }

enum class Rounding : std::uint8_t { nearest_even, toward_zero, stochastic };

/// What becomes of a value that rounds to more than the largest one.
enum class Overflow : std::uint8_t {
  saturate,      ///< the largest, also for infinities (CUDA's __NV_SATFINITE)
  non_saturate,  ///< infinity, NaN where there is none, the largest where there is neither (ml_dtypes, torch's .to)
};

/// The value of a code, exact; bits above the format's are ignored. A NaN is quiet and keeps its sign.
float decode(FormatId id, std::uint32_t code);

/// The code that x rounds to.
///
/// Neighbouring values of the format around |x| lie q apart: q = 2^(max(floor(log2 |x|), min_exponent) -
/// fraction_bits). With t = |x| / q, exact to 2^-32, the code's magnitude is that of q times
///   nearest_even  t rounded to nearest, ties to even;
///   toward_zero   floor(t);
///   stochastic    floor(t + random / 2^32): up with the probability of the fraction, in steps of 2^-32.
/// Rounded first, compared with the largest afterwards: E4M3's 464 is a tie and becomes 448, 465 overflows. Toward
/// zero a finite x never overflows (IEEE 754). -0 keeps its sign where there is one.
///
/// NaN becomes the format's quiet NaN of that sign; without one (E3M2, E2M3, E2M1) the zero of the other sign, as in
/// ml_dtypes, and 0 in INT8. UE8M0 has 1 as t's integer, so its ties go up; zero and negative values become its NaN; an
/// FP32 subnormal counts in steps of 2^-126, of which 0 is written as 2^-127. All of it agrees with ml_dtypes 0.6.0 and
/// numpy (FP16) for nearest_even and non_saturate on all 2^32 values, but that numpy keeps the payload of a NaN.
std::uint32_t encode(FormatId id, float x, Rounding rounding = Rounding::nearest_even,
                     Overflow overflow = Overflow::saturate, std::uint32_t random = 0);

/// The code of x = NaN, +infinity or -infinity.
std::uint32_t encode_special(const Format& f, float x, Overflow overflow);

/// decode of the codes 0 .. 255: what a product of eight-bit codes looks up. Shorter codes repeat.
const std::array<float, 256>& values_of(FormatId id);

}  // namespace dsv3
