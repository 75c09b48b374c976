// SPDX-License-Identifier: MIT
/// \file
/// Rounding by looking at the values a format has: nothing of it is shared with reference/formats.
#pragma once
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace dsv3::test {

/// A format as its specification states it.
struct SlowFormat {
  std::string name;
  int exponent_bits, fraction_bits, bias;
  int num_finite;  ///< magnitudes from 0 up that are finite numbers
  bool has_infinity, has_nan;
  double beyond;  ///< the value that would follow the largest one
  int nan_code;   ///< of positive sign
};

inline std::vector<SlowFormat> slow_formats() {
  return {
      {"e4m3", 4, 3, 7, 0x7F, false, true, 480, 0x7F},        {"e5m2", 5, 2, 15, 0x7C, true, true, 65536, 0x7E},
      {"e5m6", 5, 6, 15, 0x7C0, true, true, 65536, 0x7E0},    {"bf16", 8, 7, 127, 0x7F80, true, true, 0x1p128, 0x7FC0},
      {"fp16", 5, 10, 15, 0x7C00, true, true, 65536, 0x7E00}, {"e3m2", 3, 2, 3, 0x20, false, false, 32, 0x20},
      {"e2m3", 2, 3, 1, 0x20, false, false, 8, 0x20},         {"e2m1", 2, 1, 1, 0x8, false, false, 8, 0x8}};
}

/// The values of the magnitudes 0, 1, ...; by division and pow.
inline std::vector<double> values_in_order(const SlowFormat& f) {
  std::vector<double> values;
  const int per_binade = 1 << f.fraction_bits;
  for (int code = 0; code < f.num_finite; ++code) {
    const int exponent = code / per_binade, fraction = code % per_binade;
    const double part = static_cast<double>(fraction) / per_binade;
    values.push_back(exponent == 0 ? part * std::pow(2.0, 1 - f.bias) : (1 + part) * std::pow(2.0, exponent - f.bias));
  }
  return values;
}

/// The smallest FP32 magnitudes, as bits, that round to code 1, 2, ... and last to more than the largest value: the
/// midpoints, of which an even code below keeps the tie.
inline std::vector<std::uint32_t> first_floats(const SlowFormat& f) {
  std::vector<double> values = values_in_order(f);
  values.push_back(f.beyond);
  std::vector<std::uint32_t> first;
  for (std::size_t code = 0; code + 1 < values.size(); ++code) {
    const double middle = (values[code] + values[code + 1]) / 2;  // exact
    auto at_most = static_cast<float>(middle);
    if (static_cast<double>(at_most) > middle) at_most = std::nextafterf(at_most, 0.0f);
    const bool keeps = static_cast<double>(at_most) < middle || code % 2 == 0;
    const float x = keeps ? std::nextafterf(at_most, INFINITY) : at_most;
    std::uint32_t bits;
    static_assert(sizeof bits == sizeof x);
    __builtin_memcpy(&bits, &x, sizeof bits);
    first.push_back(bits);
  }
  return first;
}

}  // namespace dsv3::test
