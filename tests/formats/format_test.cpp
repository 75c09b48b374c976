// SPDX-License-Identifier: MIT
#include "reference/formats/format.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <limits>

#include "reference/core/random.hpp"
#include "reference/formats/bf16.hpp"
#include "reference/formats/e4m3.hpp"
#include "tests/formats/slow_cast.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {
using enum FormatId;
constexpr auto saturate = Overflow::saturate, non_saturate = Overflow::non_saturate;
constexpr auto nearest = Rounding::nearest_even, toward_zero = Rounding::toward_zero;
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN();

float to(FormatId id, double x, Overflow overflow = saturate) {
  return decode(id, encode(id, static_cast<float>(x), nearest, overflow));
}

FormatId id_of(const SlowFormat& slow) {
  for (std::size_t i = 0; i < formats.size(); ++i)
    if (formats[i].name == slow.name) return static_cast<FormatId>(i);
  throw std::invalid_argument(slow.name);
}

float from_bits(std::uint32_t bits) { return std::bit_cast<float>(bits); }
std::uint32_t bits_of(float x) { return std::bit_cast<std::uint32_t>(x); }
}  // namespace

TEST_CASE("format: each row of the table of section 3.7") {
  CHECK(decode(e4m3, 0x7E) == 448);
  CHECK(decode(e4m3, 0x08) == 0x1p-6f);
  CHECK(decode(e4m3, 0x01) == 0x1p-9f);
  CHECK(std::isnan(decode(e4m3, 0x7F)));
  CHECK(std::isnan(decode(e4m3, 0xFF)));
  CHECK(decode(e5m2, 0x7B) == 57344);
  CHECK(decode(e5m2, 0x04) == 0x1p-14f);
  CHECK(decode(e5m2, 0x01) == 0x1p-16f);
  CHECK(decode(e5m2, 0x7C) == infinity);
  CHECK(decode(e5m2, 0xFC) == -infinity);
  for (std::uint32_t code : {0x7Du, 0x7Eu, 0x7Fu, 0xFDu, 0xFEu, 0xFFu}) CHECK(std::isnan(decode(e5m2, code)));
  CHECK(decode(e5m6, 0x7BF) == 65024);
  CHECK(decode(e5m6, 0x040) == 0x1p-14f);
  CHECK(decode(e5m6, 0x001) == 0x1p-20f);
  CHECK(decode(e5m6, 0x7C0) == infinity);
  CHECK(std::isnan(decode(e5m6, 0x7C1)));
  CHECK(decode(ue8m0, 254) == 0x1p127f);
  CHECK(decode(ue8m0, 0) == 0x1p-127f);
  CHECK(decode(ue8m0, 127) == 1);
  CHECK(std::isnan(decode(ue8m0, 255)));
  CHECK(decode(bf16, 0x7F7F) == 0x1.FEp127f);
  CHECK(decode(bf16, 0x0001) == 0x1p-133f);
  CHECK(decode(bf16, 0x7F80) == infinity);
  CHECK(decode(fp16, 0x7BFF) == 65504);
  CHECK(decode(fp16, 0x0001) == 0x1p-24f);
  CHECK(std::isnan(decode(fp16, 0x7C01)));
  CHECK(decode(e3m2, 0x1F) == 28);
  CHECK(decode(e2m3, 0x1F) == 7.5f);
  CHECK(decode(e2m1, 0x7) == 6);
  CHECK(decode(int8, 0x7F) == 127.0f / 64);
  CHECK(decode(int8, 0x80) == -2);
  CHECK(decode(int8, 0xFF) == -1.0f / 64);
  for (const FormatId id : {e4m3, e5m2, e5m6, ue8m0, bf16, fp16, e3m2, e2m3, e2m1, int8}) {
    CAPTURE(format(id).name);
    CHECK(decode(id, format(id).largest_code()) == format(id).largest);
  }
}

TEST_CASE("format: OCP's emax and the number of bits") {
  const std::pair<FormatId, int> emax[] = {{e4m3, 8}, {e5m2, 15}, {e3m2, 4}, {e2m3, 2}, {e2m1, 2}, {int8, 0}};
  for (const auto& [id, expected] : emax) CHECK(format(id).max_exponent() == expected);
  const std::pair<FormatId, int> bits[] = {{e4m3, 8}, {e5m6, 12}, {ue8m0, 8}, {bf16, 16}, {e3m2, 6}, {e2m1, 4}};
  for (const auto& [id, expected] : bits) CHECK(format(id).bits() == expected);
}

TEST_CASE("format: E4M3's vectors of section 3.7") {
  const std::pair<double, double> vectors[] = {{0x1p-10, 0},
                                               {0x1p-10 * 1.000001, 0x1p-9},
                                               {0x1p-9, 0x1p-9},
                                               {1.5 * 0x1p-9, 0x1p-8},
                                               {2.5 * 0x1p-9, 0x1p-8},
                                               {7 * 0x1p-9, 7 * 0x1p-9},
                                               {0x1p-6, 0x1p-6},
                                               {100, 96},
                                               {240, 240},
                                               {0.1, 0.1015625},
                                               {0.3, 0.3125},
                                               {1.0625, 1},
                                               {1.1875, 1.25},
                                               {3.14159265, 3.25},
                                               {17, 16},
                                               {19, 20},
                                               {21, 20},
                                               {288, 288},
                                               {247, 240},
                                               {248, 256},
                                               {271, 256},
                                               {272, 256},
                                               {304, 320},
                                               {432, 448},
                                               {464, 448},
                                               {465, 448},
                                               {1000, 448}};
  for (const auto& [in, out] : vectors) {
    CHECK(static_cast<double>(to(e4m3, in)) == out);
    CHECK(static_cast<double>(to(e4m3, -in)) == -out);
    if (in <= 464) CHECK(static_cast<double>(to(e4m3, in, non_saturate)) == out);
    else CHECK(std::isnan(to(e4m3, in, non_saturate)));
  }
}

TEST_CASE("format: E5M2's and E5M6's vectors of section 3.7") {
  const std::pair<double, double> e5m2_vectors[] = {{0x1p-17, 0},    {0x1p-16, 0x1p-16}, {1.5 * 0x1p-16, 0x1p-15},
                                                    {0.1, 0.09375},  {1.125, 1},         {1.375, 1.5},
                                                    {3.14159265, 3}, {61439, 57344},     {61440, 57344}};
  for (const auto& [in, out] : e5m2_vectors) CHECK(static_cast<double>(to(e5m2, in)) == out);
  CHECK(to(e5m2, 61439, non_saturate) == 57344);
  CHECK(to(e5m2, 61440, non_saturate) == infinity);
  const std::pair<double, double> e5m6_vectors[] = {{0x1p-21, 0},   {0x1p-20, 0x1p-20},   {0.1, 0.099609375},
                                                    {1.0078125, 1}, {1.0234375, 1.03125}, {3.14159265, 3.15625},
                                                    {65279, 65024}, {65280, 65024}};
  for (const auto& [in, out] : e5m6_vectors) CHECK(static_cast<double>(to(e5m6, in)) == out);
  CHECK(to(e5m6, 65279, non_saturate) == 65024);
  CHECK(to(e5m6, 65280, non_saturate) == infinity);
}

TEST_CASE("format: every code of every format keeps itself through its value, under all roundings") {
  for (std::size_t i = 0; i < formats.size(); ++i) {
    const auto id = static_cast<FormatId>(i);
    CAPTURE(format(id).name);
    for (std::uint32_t code = 0; code < (1u << format(id).bits()); ++code) {
      const float value = decode(id, code);
      if (std::isnan(value)) continue;
      CAPTURE(code);
      if (id == int8 && code == 0x80) continue;  // -2: rounding is symmetric, to at most 127/64
      for (const Rounding rounding : {nearest, toward_zero, Rounding::stochastic})
        if (value >= 0x1p-126f || rounding != Rounding::stochastic || id != ue8m0)  // FP32 subnormals: in 2^-126
          CHECK(encode(id, value, rounding, non_saturate, 0xFFFF'FFFF) == code);
    }
  }
  CHECK(encode(int8, -2.0f) == 0x81);
}

TEST_CASE("format: E4M3 is e4m3.hpp's, and BF16 is bf16.hpp's") {
  for (std::uint32_t code = 0; code < 256; ++code)
    CHECK(bits_of(decode(e4m3, code)) == bits_of(float_from_e4m3(static_cast<std::uint8_t>(code))));
  Random random(1);
  for (int i = 0; i < 1'000'000; ++i) {
    const float x = from_bits(static_cast<std::uint32_t>(random.bits()));
    if (std::isnan(x)) continue;
    if (encode(bf16, x, nearest, non_saturate) != bf16_from_float(x)) FAIL(bits_of(x));
  }
}

TEST_CASE("format: NaN, infinities and signed zeros") {
  for (const SlowFormat& slow : slow_formats()) {
    const FormatId id = id_of(slow);
    CAPTURE(slow.name);
    const std::uint32_t sign = format(id).sign_bit(), largest = static_cast<std::uint32_t>(slow.num_finite - 1);
    const std::uint32_t beyond = slow.has_infinity
                                     ? largest + 1
                                     : static_cast<std::uint32_t>(slow.has_nan ? slow.nan_code : slow.num_finite - 1);
    CHECK(encode(id, infinity) == largest);
    CHECK(encode(id, -infinity) == (largest | sign));
    CHECK(encode(id, infinity, nearest, non_saturate) == beyond);
    CHECK(encode(id, -infinity, toward_zero, non_saturate) == (beyond | sign));
    CHECK(encode(id, 0.0f) == 0);
    CHECK(encode(id, -0.0f) == sign);
    CHECK(encode(id, 0x1p127f, toward_zero, non_saturate) <= largest);
    for (const Overflow overflow : {saturate, non_saturate})
      for (const std::uint32_t payload : {0x7FC0'0000u, 0x7F80'0001u, 0x7FFF'FFFFu}) {
        const auto positive = static_cast<std::uint32_t>(slow.nan_code);
        CHECK(encode(id, from_bits(payload), nearest, overflow) == positive);
        CHECK(encode(id, from_bits(payload | 0x8000'0000u), nearest, overflow) == (positive ^ sign));
      }
  }
  CHECK(encode(int8, quiet_nan) == 0);
  CHECK(encode(int8, infinity) == 0x7F);
  CHECK(encode(int8, -infinity) == 0x81);
}

TEST_CASE("format: UE8M0 has neither zero nor sign, and its ties go up") {
  CHECK(encode(ue8m0, 0.0f) == 255);
  CHECK(encode(ue8m0, -1.0f) == 255);
  CHECK(encode(ue8m0, quiet_nan) == 255);
  CHECK(encode(ue8m0, infinity, nearest, non_saturate) == 255);
  CHECK(encode(ue8m0, infinity) == 254);
  CHECK(encode(ue8m0, -infinity) == 255);
  for (int e = -126; e <= 126; ++e) {
    const float power = std::ldexp(1.0f, e);
    CHECK(encode(ue8m0, power) == static_cast<std::uint32_t>(e + 127));
    CHECK(encode(ue8m0, std::nextafterf(1.5f * power, 0)) == static_cast<std::uint32_t>(e + 127));
    CHECK(encode(ue8m0, 1.5f * power) == static_cast<std::uint32_t>(e + 128));
    CHECK(encode(ue8m0, 1.99f * power, toward_zero) == static_cast<std::uint32_t>(e + 127));
  }
  CHECK(encode(ue8m0, 0x1.8p127f, nearest, non_saturate) == 255);
  CHECK(encode(ue8m0, 0x1.8p127f) == 254);
  CHECK(encode(ue8m0, 0x1p-149f) == 0);
}

TEST_CASE("format: at each boundary of each format, and one and two floats beside it, the search in the table agrees") {
  for (const SlowFormat& slow : slow_formats()) {
    const FormatId id = id_of(slow);
    CAPTURE(slow.name);
    const auto first = first_floats(slow);
    for (std::size_t code = 0; code < first.size(); ++code)
      for (int step = -2; step <= 2; ++step) {
        const std::uint32_t bits = first[code] + static_cast<std::uint32_t>(step);
        if (bits >= 0x7F80'0000u) continue;
        // The boundaries may lie closer than two floats (BF16's lowest do not): search, do not assume.
        std::uint32_t expected = 0;
        while (expected < first.size() && bits >= first[expected]) ++expected;
        const bool over = expected == first.size();
        const std::uint32_t largest = static_cast<std::uint32_t>(first.size() - 1);
        const std::uint32_t beyond =
            slow.has_infinity ? largest + 1 : (slow.has_nan ? static_cast<std::uint32_t>(slow.nan_code) : largest);
        CAPTURE(bits);
        if (encode(id, from_bits(bits)) != (over ? largest : expected)) FAIL("saturating");
        if (encode(id, from_bits(bits), nearest, non_saturate) != (over ? beyond : expected)) FAIL("non-saturating");
      }
  }
}

TEST_CASE("format: toward zero takes the greatest value that is not above |x|") {
  Random random(2);
  for (const SlowFormat& slow : slow_formats()) {
    if (slow.name == "bf16" || slow.name == "fp16") continue;  // too many values for a search each time
    const FormatId id = id_of(slow);
    const auto values = values_in_order(slow);
    CAPTURE(slow.name);
    for (int i = 0; i < 20'000; ++i) {
      const int exponent = static_cast<int>(random.below(60)) - 40;
      const auto x = static_cast<float>(std::ldexp(random.uniform(), exponent));
      std::uint32_t expected = 0;
      while (expected + 1 < values.size() && values[expected + 1] <= static_cast<double>(x)) ++expected;
      CAPTURE(x);
      for (const Overflow overflow : {saturate, non_saturate})
        if (encode(id, x, toward_zero, overflow) != expected) FAIL("wrong neighbour");
    }
  }
}

TEST_CASE("format: INT8 is the nearest multiple of 1/64, ties to even, both signs alike") {
  for (int i = -1024; i <= 1024; ++i) {
    const double x = i / 512.0 * 1.25, in_units = std::nearbyint(x * 64);
    CAPTURE(x);
    CHECK(static_cast<double>(to(int8, x)) == std::clamp(in_units, -127.0, 127.0) / 64);
  }
  CHECK(to(int8, 1e30) == 127.0f / 64);
  CHECK(to(int8, 1e-30) == 0);
}

TEST_CASE("format: stochastic rounding goes up for exactly the fraction of the random bits") {
  // 17 lies an eighth of the way from 16 to 18, in steps of 2^-32: floor(1/2 + r/2^32) is 1 from r = 2^31 on.
  CHECK(decode(e4m3, encode(e4m3, 17, Rounding::stochastic, saturate, 0x7FFF'FFFF)) == 16);
  CHECK(decode(e4m3, encode(e4m3, 17, Rounding::stochastic, saturate, 0x8000'0000)) == 18);
  CHECK(decode(e4m3, encode(e4m3, 16.25f, Rounding::stochastic, saturate, 0xDFFF'FFFF)) == 16);
  CHECK(decode(e4m3, encode(e4m3, 16.25f, Rounding::stochastic, saturate, 0xE000'0000)) == 18);
  CHECK(decode(e4m3, encode(e4m3, -16.25f, Rounding::stochastic, saturate, 0xE000'0000)) == -18);
  CHECK(decode(e4m3, encode(e4m3, 0x1p-11f, Rounding::stochastic, saturate, 0xBFFF'FFFF)) == 0);
  CHECK(decode(e4m3, encode(e4m3, 0x1p-11f, Rounding::stochastic, saturate, 0xC000'0000)) == 0x1p-9f);
  CHECK(encode(e4m3, 0x1p-41f, Rounding::stochastic, saturate, 0xFFFF'FFFF) == 1);  // 2^-32 of a step: one in 2^32
  CHECK(encode(e4m3, 0x1p-41f, Rounding::stochastic, saturate, 0xFFFF'FFFE) == 0);
  CHECK(encode(e4m3, 0x1p-42f, Rounding::stochastic, saturate, 0xFFFF'FFFF) == 0);
  CHECK(decode(e4m3, encode(e4m3, 470, Rounding::stochastic, saturate, 0xFFFF'FFFF)) == 448);
  CHECK(std::isnan(decode(e4m3, encode(e4m3, 470, Rounding::stochastic, non_saturate, 0xFFFF'FFFF))));
}

TEST_CASE("format: the tables of 256 values") {
  for (const FormatId id : {e4m3, e5m2, e3m2, e2m3, e2m1, int8, ue8m0})
    for (std::uint32_t code = 0; code < 256; ++code) CHECK(bits_of(values_of(id)[code]) == bits_of(decode(id, code)));
  CHECK_THROWS_AS(values_of(e5m6), std::invalid_argument);
}
