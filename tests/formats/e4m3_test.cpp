// SPDX-License-Identifier: MIT
#include "reference/formats/e4m3.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

using namespace dsv3;

namespace {
/// Twin by arithmetic: digits out of the code by division, value by pow.
double by_formula(int code) {
  const int magnitude = code % 128, exponent = magnitude / 8, fraction = magnitude % 8;
  const double value =
      exponent == 0 ? fraction / 8.0 * std::pow(2, -6) : (1 + fraction / 8.0) * std::pow(2, exponent - 7);
  return code >= 128 ? -value : value;
}
}  // namespace

TEST_CASE("e4m3: all 256 codes have the value of the formula; only 0x7F and 0xFF are NaN, none is infinite") {
  for (int code = 0; code < 256; ++code) {
    const float value = e4m3_values()[static_cast<std::size_t>(code)];
    CAPTURE(code);
    CHECK(std::signbit(value) == (code >= 128));
    if (code % 128 == 127) CHECK(std::isnan(value));
    else CHECK(static_cast<double>(value) == by_formula(code));
  }
}

TEST_CASE("e4m3: the landmarks of the format") {
  CHECK(float_from_e4m3(0x7E) == 448.0f);
  CHECK(float_from_e4m3(0x78) == 256.0f);  // exponent 15 is not reserved
  CHECK(float_from_e4m3(0x38) == 1.0f);
  CHECK(float_from_e4m3(0x08) == 0x1p-6f);
  CHECK(float_from_e4m3(0x07) == 7 * 0x1p-9f);
  CHECK(float_from_e4m3(0x01) == 0x1p-9f);
  CHECK(float_from_e4m3(0x80) == 0.0f);
  CHECK(std::signbit(float_from_e4m3(0x80)));
}
