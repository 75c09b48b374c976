// SPDX-License-Identifier: MIT
/// \file
/// The public kernels' quantisation once more, a group at a time, with the search of slow_cast.hpp for the rounding.
#pragma once
#include <algorithm>
#include <bit>
#include <string>

#include "reference/core/random.hpp"
#include "reference/formats/bf16.hpp"
#include "reference/formats/quantised.hpp"
#include "tests/formats/slow_cast.hpp"

namespace dsv3::test {

/// Normal values whose size changes from row to row and from column to column by up to 2^10, some exactly BF16.
inline FloatMatrix values(Index rows, Index cols, std::uint64_t seed) {
  Random random(seed);
  FloatMatrix x(rows, cols);
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j) {
      const double size = std::ldexp(1.0, static_cast<int>((i * 7 + j / 32 * 3) % 11) - 5);
      const auto v = static_cast<float>(random.normal() * size);
      x(i, j) = (i + j / 128) % 2 == 0 ? v : float_from_bf16(bf16_from_float(v));
    }
  return x;
}

/// Nearest even, saturating, by search.
class SlowEncoder {
 public:
  explicit SlowEncoder(const std::string& name) {
    for (const SlowFormat& f : slow_formats())
      if (f.name == name) {
        first_ = first_floats(f);
        sign_ = 1u << (f.exponent_bits + f.fraction_bits);
        nan_ = static_cast<std::uint32_t>(f.nan_code);
        largest = static_cast<float>(values_in_order(f).back());
      }
  }
  std::uint32_t operator()(float x) const {
    const auto bits = std::bit_cast<std::uint32_t>(x), magnitude = bits & 0x7FFF'FFFFu;
    const std::uint32_t sign = bits >> 31 ? sign_ : 0;
    if (magnitude > 0x7F80'0000u) return nan_ ^ sign;
    const auto at = std::upper_bound(first_.begin(), first_.end() - 1, magnitude);
    return static_cast<std::uint32_t>(at - first_.begin()) ^ sign;
  }
  float largest = 0;

 private:
  std::vector<std::uint32_t> first_;
  std::uint32_t sign_ = 0, nan_ = 0;
};

/// What a kernel stores and what it encodes of an x; `volatile` keeps each operation one FP32 operation.
struct SlowScale {
  float stored;
  float by;
  bool divides;
  float of(float x) const {
    volatile float y = divides ? x / by : x * by;
    return y;
  }
};

inline float power_of_two_above(float s) {  // by comparison
  float power = 0x1p-126f;
  while (power < s) power *= 2;
  return power;
}

inline SlowScale slow_scale(const std::string& dialect, float amax, float largest, bool power_of_two) {
  const auto round_up = [&](float s) { return power_of_two ? power_of_two_above(s) : s; };
  if (dialect == "transformer_engine") {
    if (amax == 0) return {1, 1, false};
    volatile float scale = largest / amax;
    if (std::isinf(scale)) scale = 3.4028234663852886e38f;
    if (power_of_two) {
      int exponent;
      std::frexp(scale, &exponent);
      scale = std::ldexp(0.5f, exponent);
    }
    volatile float inverse = 1.0f / scale;
    return {inverse, scale, false};
  }
  volatile float a = amax < 1e-4f ? 1e-4f : amax;
  if (dialect == "deepseek_v3") {
    volatile float s = a / largest;
    return {round_up(s), round_up(s), true};
  }
  if (dialect == "deepseek_v32") {
    volatile float inverse = 1 / largest, s = a * inverse;
    return {round_up(s), round_up(s), true};
  }
  if (dialect == "deepgemm") {
    volatile float s = a / largest, rounded = round_up(s), inverse = 1.0f / rounded;
    return {rounded, inverse, false};
  }
  volatile float inverse = 1 / largest, s = dialect == "deepep_kernel" ? a * inverse : a / largest,
                 factor = largest / a;
  if (power_of_two) factor = 1 / round_up(s);
  return {round_up(s), factor, false};
}

}  // namespace dsv3::test
