// SPDX-License-Identifier: MIT
/// \file
/// How a tensor core adds up products of eight-bit numbers (report sections 3.3.2 and 3.5.2), as one value with
/// presets.
#pragma once
#include <span>
#include <string_view>

#include "reference/core/real.hpp"

namespace dsv3 {

/// What becomes of the bits that do not fit.
enum class Cut { toward_zero, to_nearest_even };

/// How the products of an element are added up between two promotions, and how often they are promoted to FP32.
///
/// Sum::aligned is the tensor core. A step adds `together()` neighbouring products a_i b_i to the register c:
///   1. a = s_a 2^e_a with 1 <= |s_a| < 2; a subnormal keeps the smallest exponent of its format and has |s_a| < 1.
///   2. A product has the significand s_a s_b, not normalised (up to 4), and the exponent e_a + e_b. Zeros drop out.
///   3. c, normalised, is one more term of the same sum; c = 0 drops out.
///   4. E = the largest exponent of all terms.
///   5. A term becomes the integer cut(significand 2^(F + e - E)), F = `fraction_bits`.
///   6. These integers are summed exactly; the sum counts units of 2^(E - F).
///   7. The sum is normalised and cut to `output_fraction_bits`.
/// Each promotion interval starts with c = 0; its last step may be short. There is no overflow and no underflow: codes
/// have |exponent| < 17.
///
/// Sum::fp32_chain: c = c + a_i b_i in ascending i in FP32, rounded once: a product of two codes is exact in FP32.
/// Sum::exact: the sum of the interval as if infinitely precise, rounded once to FP32 (nearest even).
///
/// Special values, all three: a NaN code or 0 times an infinity gives NaN, so do infinities of both signs; infinities
/// of one sign give that infinity. A sum of nothing, of zeros, or that cancels is +0. NaN has no sign or payload of
/// meaning (the hardware: 0x7FFFFFFF [MMA-Sim]).
///
/// Evidence. hopper_fp8_wgmma: reproduces 5000 of 5000 E4M3 outputs measured on an H100 (Khattak and Mikaitis,
/// arXiv:2512.07004) taken with c = 0; that c is a term of the same sum rests on the report's text and on MMA-Sim
/// (Xie et al., arXiv:2511.10909), as do ada_fp8 (each instruction of 32 is two sums of 16, one after the other) and
/// blackwell_fp8 (25 bits, FP32 register, truncated). Not known: what mma.sync on Hopper does (MMA-Sim: 25 bits), how
/// E5M2 behaves beyond MMA-Sim's statement that it is the same, and how block-scaled instructions align.
struct Accumulation {
  enum class Sum { aligned, fp32_chain, exact };
  Sum sum = Sum::aligned;
  int fraction_bits = 13;         ///< F, 1 .. 28
  int output_fraction_bits = 13;  ///< 1 .. 23
  Index products = 32;            ///< of an instruction, 1 .. 128
  Index splits = 1;               ///< sums one after the other in an instruction; a divisor of `products`
  Cut align_cut = Cut::toward_zero, output_cut = Cut::toward_zero;
  Index interval = 128;  ///< N_C: products between promotions; 0: one promotion at the end

  constexpr Index together() const { return products / splits; }
  constexpr Accumulation promoted_every(Index N_C) const {
    Accumulation other = *this;
    other.interval = N_C;
    return other;
  }
  friend bool operator==(const Accumulation&, const Accumulation&) = default;
};

inline constexpr Accumulation hopper_fp8_wgmma{};
inline constexpr Accumulation ada_fp8{.splits = 2};
inline constexpr Accumulation blackwell_fp8{.fraction_bits = 25, .output_fraction_bits = 23};
inline constexpr Accumulation fp32_sums{.sum = Accumulation::Sum::fp32_chain};
inline constexpr Accumulation exact_sums{.sum = Accumulation::Sum::exact};

struct NamedAccumulation {
  std::string_view name;
  Accumulation accumulation;
};

/// hopper_fp8_wgmma, ada_fp8, blackwell_fp8, fp32, exact.
std::span<const NamedAccumulation> accumulations();

/// The preset of that name. Throws std::invalid_argument with the names there are.
const Accumulation& accumulation_named(std::string_view name);

/// Throws std::invalid_argument "WHERE: ..." unless every field lies in its range.
void require_accumulation(const Accumulation& how, std::string_view where);

/// Factors of products: values of codes, and the exponent of the smallest normal number of their format.
struct Factors {
  std::span<const float> values;
  int min_exponent = -6;  ///< E4M3: -6, E5M2: -14
};

/// One step of Sum::aligned: a and b of equal length, at most together().
float tensor_core_step(const Accumulation& how, float c, const Factors& a, const Factors& b);

/// The sum of one promotion interval: steps (or chain, or exact sum) from c = 0 over all of a and b. One element at a
/// time; for sums over fewer than 2^20 products of values that are multiples of 2^-16 below 2^16.
float sum_of_products(const Accumulation& how, const Factors& a, const Factors& b);

/// hi + lo rounded once to FP32, nearest even.
float round_sum_to_float(double hi, double lo);

}  // namespace dsv3
