// SPDX-License-Identifier: MIT
#include "cuda/formats/cast.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "reference/core/random.hpp"
#include "reference/formats/bf16.hpp"
#include "reference/formats/cast.hpp"

using namespace dsv3;
using cuda::Buffer, cuda::Fp8;

namespace {

constexpr Fp8 both[] = {Fp8::e4m3, Fp8::e5m2};

FormatId reference_of(Fp8 format) { return format == Fp8::e4m3 ? FormatId::e4m3 : FormatId::e5m2; }

/// How many codes are not the reference's; what lies behind the last is poisoned and must stay so.
template <class T>
int wrong_codes(Fp8 format, const std::vector<T>& x, float (*value)(T)) {
  constexpr std::size_t beyond = 40;
  const Buffer<T> in(x);
  Buffer<std::uint8_t> out(x.size() + beyond);
  cuda::encode(format, in.data(), std::ssize(x), out.data());
  const std::vector<std::uint8_t> codes = out.to_host();
  int wrong = 0;
  for (std::size_t i = 0; i < codes.size(); ++i)
    wrong += codes[i] != (i < x.size() ? encode(reference_of(format), value(x[i])) : 0xFF);
  return wrong;
}

int wrong_codes(Fp8 format, const std::vector<float>& x) {
  return wrong_codes<float>(format, x, [](float v) { return v; });
}

/// The neighbours of x among FP32 numbers, and x, of both signs.
void add_around(std::vector<float>& all, float x) {
  for (const float v : {x, std::nextafter(x, 0.0f), std::nextafter(x, std::numeric_limits<float>::infinity())})
    all.push_back(v), all.push_back(-v);
}

}  // namespace

TEST_CASE("cast: every BF16 value becomes the reference's code") {
  std::vector<std::uint16_t> all;
  for (int code = 0; code < 1 << 16; ++code) all.push_back(static_cast<std::uint16_t>(code));
  for (const Fp8 format : both) CHECK(wrong_codes<std::uint16_t>(format, all, float_from_bf16) == 0);
}

TEST_CASE("cast: FP32 at every value of the format and at every tie between two, and beside them") {
  for (const Fp8 format : both) {
    std::vector<float> x;
    const auto& values = values_of(reference_of(format));
    for (std::size_t code = 0; code < 127; ++code) {
      if (!std::isfinite(values[code])) continue;
      add_around(x, values[code]);
      if (std::isfinite(values[code + 1])) add_around(x, (values[code] + values[code + 1]) / 2);
    }
    for (const float edge : {464.0f, 61440.0f, 65536.0f, std::numeric_limits<float>::max(), 0x1p-126f, 0x1p-149f})
      add_around(x, edge);
    CHECK(x.size() > 1400);
    CHECK(wrong_codes(format, x) == 0);
  }
}

TEST_CASE("cast: FP32 infinities saturate, NaNs of either sign and any payload keep their sign, -0 its own") {
  const float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> x{infinity, -infinity, 0.0f, -0.0f};
  for (const std::uint32_t nan : {0x7FC0'0000u, 0x7F80'0001u, 0x7FFF'FFFFu, 0x7FA5'5A5Au})
    x.push_back(std::bit_cast<float>(nan)), x.push_back(std::bit_cast<float>(nan | 0x8000'0000u));
  for (const Fp8 format : both) CHECK(wrong_codes(format, x) == 0);
}

TEST_CASE("cast: random FP32 bits, for numbers of values that are no multiple of anything, and none") {
  Random random(1);
  for (const Fp8 format : both)
    for (const int n : {0, 1, 3, 4, 5, 1023, 4096, 4099, 40'001}) {
      CAPTURE(n);
      std::vector<float> x;
      for (int i = 0; i < n; ++i) {
        const auto any = std::bit_cast<float>(static_cast<std::uint32_t>(random.bits()));
        const auto usual = static_cast<float>(std::ldexp(random.normal(), static_cast<int>(random.below(36)) - 20));
        x.push_back(i % 2 == 0 ? any : usual);
      }
      CHECK(wrong_codes(format, x) == 0);
    }
}

TEST_CASE("cast: every code becomes the reference's FP32 value, bit for bit, NaNs too") {
  for (const Fp8 format : both) {
    std::vector<std::uint8_t> codes;
    for (int i = 0; i < 256 * 17 + 3; ++i) codes.push_back(static_cast<std::uint8_t>(i * 77));
    const Buffer<std::uint8_t> in(codes);
    Buffer<float> out(codes.size() + 5);
    cuda::decode(format, in.data(), std::ssize(codes), out.data());
    const std::vector<float> x = out.to_host();
    int wrong = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::uint32_t expected =
          i < codes.size() ? std::bit_cast<std::uint32_t>(decode(reference_of(format), codes[i])) : 0xFFFF'FFFFu;
      wrong += std::bit_cast<std::uint32_t>(x[i]) != expected;
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("cast: bad arguments are refused") {
  const Buffer<float> x(64);
  Buffer<std::uint8_t> codes(64);
  CHECK_THROWS_AS(cuda::encode(Fp8::e4m3, x.data(), -1, codes.data()), std::invalid_argument);
  CHECK_THROWS_AS(cuda::encode(Fp8::e4m3, x.data() + 1, 4, codes.data()), std::invalid_argument);
  CHECK_THROWS_AS(cuda::encode(Fp8::e4m3, x.data(), 4, codes.data() + 4), std::invalid_argument);
}
