// SPDX-License-Identifier: MIT
#include "reference/formats/cast.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>

#include "reference/core/random.hpp"

using namespace dsv3;

namespace {
using enum FormatId;
}  // namespace

TEST_CASE("cast: arrays get what single values get, in every format, rounding and overflow") {
  Random random(1);
  std::vector<float> x(20'000);
  for (float& value : x) value = std::bit_cast<float>(static_cast<std::uint32_t>(random.bits()));
  std::vector<std::uint16_t> codes(x.size());
  for (std::size_t f = 0; f < formats.size(); ++f)
    for (const Rounding rounding : {Rounding::nearest_even, Rounding::toward_zero, Rounding::stochastic})
      for (const Overflow overflow : {Overflow::saturate, Overflow::non_saturate}) {
        const auto id = static_cast<FormatId>(f);
        encode(id, x, codes, {rounding, overflow, 7}, 100);
        for (std::size_t i = 0; i < x.size(); ++i)
          if (codes[i] != encode(id, x[i], rounding, overflow, random_bits(7, 100 + i)))
            FAIL(formats[f].name << ' ' << std::bit_cast<std::uint32_t>(x[i]));
      }
}

TEST_CASE("cast: every code of every format is decoded alike one by one and in arrays") {
  for (std::size_t f = 0; f < formats.size(); ++f) {
    const auto id = static_cast<FormatId>(f);
    std::vector<std::uint16_t> codes(std::size_t{1} << formats[f].bits());
    for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::uint16_t>(i);
    std::vector<float> x(codes.size());
    decode(id, std::span<const std::uint16_t>(codes), x);
    for (std::size_t i = 0; i < codes.size(); ++i)
      if (std::bit_cast<std::uint32_t>(x[i]) != std::bit_cast<std::uint32_t>(decode(id, codes[i])))
        FAIL(formats[f].name << ' ' << i);
  }
}

TEST_CASE("cast: stochastic rounding depends on seed and place alone, and its mean is the value") {
  const std::vector<float> x(1 << 16, 16.5f);  // a quarter of the way from 16 to 18
  std::vector<std::uint8_t> whole(x.size()), pieces(x.size()), other(x.size());
  encode(e4m3, x, std::span(whole), {.rounding = Rounding::stochastic, .seed = 3});
  for (std::size_t begin = 0; begin < x.size(); begin += 1000) {
    const std::size_t n = std::min<std::size_t>(1000, x.size() - begin);
    encode(e4m3, std::span(x).subspan(begin, n), std::span(pieces).subspan(begin, n),
           {.rounding = Rounding::stochastic, .seed = 3}, begin);
  }
  CHECK(whole == pieces);
  encode(e4m3, x, std::span(other), {.rounding = Rounding::stochastic, .seed = 4});
  CHECK(whole != other);
  double up = 0;
  for (const auto code : whole) up += decode(e4m3, code) == 18;
  const double n = static_cast<double>(x.size());
  CHECK(std::abs(up / n - 0.25) < 5 * std::sqrt(0.25 * 0.75 / n));  // five standard deviations
}

TEST_CASE("cast: random bits are SplitMix64's") {
  Random random(9);
  for (std::uint64_t i = 0; i < 5; ++i) CHECK(random_bits(9, i) == random.bits() >> 32);
}

TEST_CASE("cast: sizes that differ, formats that do not fit, and nothing at all") {
  std::vector<float> x(3);
  std::vector<std::uint8_t> codes(2), none;
  CHECK_THROWS_AS(encode(e4m3, x, std::span(codes)), std::invalid_argument);
  codes.resize(3);
  CHECK_THROWS_AS(encode(e5m6, x, std::span(codes)), std::invalid_argument);
  CHECK_THROWS_AS(decode(fp16, std::span<const std::uint8_t>(codes), x), std::invalid_argument);
  encode(e4m3, {}, std::span(none));
}
