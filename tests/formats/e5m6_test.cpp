// SPDX-License-Identifier: MIT
#include "reference/formats/e5m6.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "reference/core/random.hpp"
#include "reference/formats/quantise.hpp"

using namespace dsv3;

namespace {
using enum FormatId;

Codes16 random_codes(Index rows, Index cols, std::uint64_t seed) {
  Random random(seed);
  Codes16 q(rows, cols);
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j) q(i, j) = static_cast<std::uint16_t>(random.below(1 << 12));
  return q;
}

FloatMatrix random_values(Index rows, Index cols) {
  Random random(4);
  FloatMatrix x(rows, cols);
  for (float& value : x.reshaped())
    value = static_cast<float>(random.normal() * std::ldexp(1.0, -static_cast<int>(random.below(36))));
  return x;
}

/// IEEE half precision cut toward zero, by its definition: the greatest multiple of the step at |x|.
std::uint32_t half_toward_zero(float x) {
  const double size = std::min(std::abs(static_cast<double>(x)), 65504.0);
  const int exponent = size < 0x1p-14 ? -14 : std::ilogb(size);
  const auto steps = static_cast<std::uint32_t>(std::floor(std::ldexp(size, 10 - exponent)));
  return (std::signbit(x) ? 0x8000u : 0) | (static_cast<std::uint32_t>(exponent + 14) * 1024 + steps);
}
}  // namespace

TEST_CASE("e5m6: eight codes in three words, by hand") {
  Codes16 q(1, 8);
  q << 0x123, 0x456, 0x789, 0xABC, 0xDEF, 0x012, 0x345, 0x678;
  const Words w = pack_e5m6(q);
  CHECK(w.cols() == 3);
  CHECK(w(0, 0) == 0x1234'5678);
  CHECK(w(0, 1) == 0x9ABC'DEF0);
  CHECK(w(0, 2) == 0x1234'5678);
  CHECK(unpack_e5m6(w, 8) == q);
}

TEST_CASE("e5m6: codes come back from their words, in rows of any length; 12 bits each") {
  for (const Index cols : {0, 1, 7, 8, 9, 15, 16, 100, 7168}) {
    const Codes16 q = random_codes(3, cols, static_cast<std::uint64_t>(cols));
    const Words words = pack_e5m6(q);
    CHECK(unpack_e5m6(words, cols) == q);
    if (cols == 7168) CHECK(words.cols() * 4 == 10752);  // section 3.5: bytes of a token
  }
  Codes16 wide = random_codes(1, 8, 1);
  wide(0, 3) = 0x1000;
  CHECK_THROWS_AS(pack_e5m6(wide), std::invalid_argument);
  CHECK_THROWS_AS(unpack_e5m6(Words(2, 4), 8), std::invalid_argument);
}

TEST_CASE("e5m6: it is the upper 12 bits of FP16") {
  for (std::uint32_t code = 0; code < 4096; ++code) {
    const float value = decode(e5m6, code);
    if (!std::isnan(value)) CHECK(value == decode(fp16, code << 4));
  }
}

TEST_CASE("e5m6: quantised to 65024, FP32 and power-of-two scales") {
  const FloatMatrix x = FloatMatrix::Constant(1, 128, -3);
  const Quantised16 q = quantise16(x, {.format = e5m6});
  CHECK(q.s(0, 0) == 3.0f / 65024);
  CHECK(decode(e5m6, q.q(0, 0)) == -65024);
  const Quantised16 power = quantise16(x, {.format = e5m6, .scale = ScaleKind::ue8m0_ceil});
  CHECK(power.s(0, 0) == 0x1p-14f);  // 3 / 65024 is a little more than 1.5 * 2^-15
  CHECK((dequantise(power).array() == -3).all());
}

TEST_CASE("e5m6: TileKernels' cast is nearest even for normal numbers and not below them") {
  Random random(1);
  Index different = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const auto x =
        static_cast<float>((random.uniform() + 1) * std::ldexp(1.0, static_cast<int>(random.below(44)) - 29)) *
        (random.below(2) == 0 ? 1.0f : -1.0f);
    const std::uint32_t theirs = e5m6_by_tile_kernels(x), nearest = encode(e5m6, x);
    const std::uint32_t half = half_toward_zero(x), low = std::bit_cast<std::uint32_t>(x) & 0x1'FFFF;
    if (theirs != (half >> 4) + (((half >> 4) & 1) + low > 0x10000 ? 1 : 0)) FAIL(x);
    if (std::abs(x) >= 0x1p-14f && theirs != nearest) FAIL(x);
    different += theirs != nearest;
  }
  CHECK(different > 1000);
  // Between 2^-15 and 2^-14 18 bits are cut; the low 17 of them do not see the half step.
  CHECK(e5m6_by_tile_kernels(0x1.0A66p-15f) == 34);  // 33.3 steps
  CHECK(encode(e5m6, 0x1.0A66p-15f) == 33);
  CHECK(e5m6_by_tile_kernels(0x1.0CF6p-15f) == 33);  // 33.62 steps
  CHECK(encode(e5m6, 0x1.0CF6p-15f) == 34);
}

TEST_CASE("e5m6: TileKernels' overflow, infinities and NaN as its code has them") {
  CHECK(e5m6_by_tile_kernels(65279) == 0x7BF);
  CHECK(e5m6_by_tile_kernels(65280) == 0x7C0);
  CHECK(e5m6_by_tile_kernels(-65280) == 0xFC0);
  CHECK(e5m6_by_tile_kernels(0x1p100f) == 0x7BF);         // cut to 65504, and no low bits
  CHECK(e5m6_by_tile_kernels(0x1.03FFFEp100f) == 0x7C0);  // cut as well, but the low bits carry
  CHECK(e5m6_by_tile_kernels(std::numeric_limits<float>::infinity()) == 0x7C0);
  CHECK(e5m6_by_tile_kernels(std::numeric_limits<float>::quiet_NaN()) == 0x7FF);
}

TEST_CASE("e5m6: the dialect quantises with TileKernels' scales and cast") {
  const FloatMatrix x = random_values(20, 256);
  const Quantisation theirs{.format = e5m6, .groups = per_row(256), .dialect = Dialect::tile_kernels};
  Quantisation nearest = theirs;
  nearest.dialect = Dialect::deepep;
  const Quantised16 q = quantise16(x, theirs), near = quantise16(x, nearest);
  CHECK(q.s == near.s);
  Index different = 0;
  for (Index i = 0; i < x.rows(); ++i) {
    const float factor = 65024 / std::max(x.row(i).cwiseAbs().maxCoeff(), 1e-4f);
    for (Index j = 0; j < x.cols(); ++j) {
      if (q.q(i, j) != e5m6_by_tile_kernels(x(i, j) * factor)) FAIL(i << ' ' << j);
      different += q.q(i, j) != near.q(i, j);
    }
  }
  CHECK(different > 0);
}
