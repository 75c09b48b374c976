// SPDX-License-Identifier: MIT
#include "reference/formats/bounds.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>

#include "reference/core/random.hpp"
#include "reference/core/threads.hpp"

using namespace dsv3;

namespace {
using enum FormatId;

float some_bits(Random& random) {
  for (;;) {
    const float x = std::bit_cast<float>(static_cast<std::uint32_t>(random.bits()));
    if (std::isfinite(x)) return x;
  }
}

/// A few FP32 neighbours away.
float beside(float x, Random& random) {
  const auto bits = static_cast<std::int64_t>(std::bit_cast<std::uint32_t>(x)) + random.below(7) - 3;
  const float y = std::bit_cast<float>(static_cast<std::uint32_t>(std::max<std::int64_t>(bits, 0)));
  return std::isfinite(y) ? y : x;
}

/// Between two values of the format, or on one, or a power of two: where rounding changes its mind.
float corner(FormatId id, Random& random) {
  const Format& f = format(id);
  const auto code = static_cast<std::uint32_t>(random.below(static_cast<Index>(f.largest_code())));
  const double low = decode(id, code), high = decode(id, code + 1);
  const double y = random.below(2) == 0 ? (low + high) / 2 : std::ldexp(1.0, std::ilogb(high));
  return beside(static_cast<float>(y), random);
}

/// The worst of error / bound; more than 1, or an error where the bound is 0, is unsound.
struct Worst {
  double ratio = 0;
  void see(double error, double bound) { ratio = std::max(ratio, error == 0 ? 0 : error / bound); }
};

constexpr FormatId signed_formats[] = {e4m3, e5m2, e3m2, e2m3, e2m1, int8, e5m6, fp16, bf16};
}  // namespace

TEST_CASE("bounds: a cast is never further off than its bound, and a search finds one as far") {
  for (const FormatId id : signed_formats)
    for (const Rounding rounding : {Rounding::nearest_even, Rounding::toward_zero, Rounding::stochastic}) {
      Random random(1);
      Worst worst;
      for (int i = 0; i < 100'000; ++i) {
        const float x = i % 2 == 0 ? some_bits(random) : corner(id, random);
        const auto bits = static_cast<std::uint32_t>(random.bits());
        const double back = decode(id, encode(id, x, rounding, Overflow::saturate, bits));
        worst.see(std::abs(back - double{x}), cast_bound(id, double{x}, rounding));
      }
      CAPTURE(format(id).name);
      CHECK(worst.ratio <= 1);
      CHECK(worst.ratio >
            0.99);  // ties reach it; the others come within some FP32 neighbours, of 2^16 or more in a step
    }
}

namespace {
/// Groups of two: one value sets the scale, the other is put where rounding is hard under that scale.
FloatMatrix hard_pairs(const Quantisation& how, Index rows, std::uint64_t seed) {
  Random random(seed);
  FloatMatrix x(rows, 2);
  for (Index i = 0; i < rows; ++i) {
    const int kind = static_cast<int>(random.below(4));
    float amax = kind == 0 ? some_bits(random) : static_cast<float>(random.normal());
    if (kind == 1) amax = beside(std::ldexp(1.0f, static_cast<int>(random.below(254)) - 126), random);
    const GroupScale scale = group_scale(std::abs(amax), format(how.format), how.dialect, how.scale);
    float other = scale.s * corner(how.format, random);
    if (kind == 2) other = some_bits(random);
    if (kind == 3 && random.below(4) == 0)
      other = std::bit_cast<float>(static_cast<std::uint32_t>(random.below(1 << 23)));
    x(i, 0) = amax;
    x(i, 1) = std::isfinite(other) ? other : amax;
  }
  return x;
}

FloatMatrix there_and_back(const FloatMatrix& x, const Quantisation& how, Scales& s) {
  if (format(how.format).bits() > 8) {
    const Quantised16 q = quantise16(x, how);
    s = q.s;
    return dequantise(q);
  }
  const Quantised q = quantise(x, how);
  s = q.s;
  return dequantise(q);
}
}  // namespace

TEST_CASE("bounds: quantisation, every dialect, scale and format, in millions of adversarial groups") {
  constexpr Index rows = 20'000;
  Index num_cases = 0;
  for (const FormatId id : {e4m3, e5m2, e3m2, e2m1, int8, e5m6})
    for (std::size_t d = 0; d < dialects.size(); ++d)
      for (const ScaleKind kind : {ScaleKind::fp32, ScaleKind::ue8m0_ceil, ScaleKind::ocp_floor})
        for (const Rounding rounding : {Rounding::nearest_even, Rounding::stochastic}) {
          const auto as = static_cast<Dialect>(d);
          const Quantisation how{.format = id, .groups = {1, 2}, .scale = kind, .dialect = as, .rounding = rounding};
          const FloatMatrix x = hard_pairs(how, rows, d * 3 + static_cast<std::size_t>(kind));
          Scales s;
          const FloatMatrix back = there_and_back(x, how, s);
          Worst worst;
          for (Index i = 0; i < rows; ++i)
            for (Index j = 0; j < 2; ++j) {
              const double bound = quantise_bound(double{x(i, j)}, double{s(i, 0)}, how);
              if (std::isinf(bound)) continue;
              worst.see(std::abs(double{back(i, j)} - double{x(i, j)}), bound);
              ++num_cases;
            }
          CAPTURE(format(id).name);
          CAPTURE(dialects[d].name);
          CAPTURE(static_cast<int>(kind));
          CAPTURE(static_cast<int>(rounding));
          CHECK(worst.ratio <= 1);
          CHECK(worst.ratio > 0.9);  // the tie of the format under its scale
        }
  CHECK(num_cases > 5'000'000);
}

TEST_CASE("bounds: only values within a step of FP32's largest have no bound") {
  const Quantisation how{.scale = ScaleKind::ue8m0_ceil};
  CHECK(std::isinf(quantise_bound(3.4028234663852886e38, 0x1p120, how)));
  CHECK(std::isinf(dequantise(quantise(FloatMatrix::Constant(1, 1, 3.4028234663852886e38f), how))(0, 0)));
  CHECK(std::isfinite(quantise_bound(0x1.8p127, 0x1p120, how)));
}

TEST_CASE("bounds: requantisation between powers of two is exact but below the least normal number") {
  for (const FormatId to : {e4m3, e5m2, e2m3})
    for (const ScaleKind kind : {ScaleKind::ue8m0_ceil, ScaleKind::fp32}) {
      Random random(3);
      FloatMatrix x(4000, 64);
      for (Index i = 0; i < x.rows(); ++i)
        for (Index j = 0; j < x.cols(); ++j)
          x(i, j) = static_cast<float>(random.normal() * std::ldexp(1.0, static_cast<int>(random.below(24)) - 12));
      const Quantised q = quantise(x, {.groups = {1, 16}, .scale = kind});
      const Quantisation how{.format = to, .groups = {16, 1}, .scale = kind};
      const Quantised again = requantise(q, how);
      const FloatMatrix before = dequantise(q), after = dequantise(again);
      Worst worst;
      Index exact = 0;
      for (Index i = 0; i < x.rows(); ++i)
        for (Index j = 0; j < x.cols(); ++j) {
          const double bound =
              requantise_bound(double{before(i, j)}, q.format, double{q.s(i, j / 16)}, double{again.s(i / 16, j)}, how);
          exact += bound == 0;
          worst.see(std::abs(double{after(i, j)} - double{before(i, j)}), bound);
        }
      CAPTURE(format(to).name);
      CAPTURE(static_cast<int>(kind));
      CHECK(worst.ratio <= 1);
      CHECK(worst.ratio > 0.5);
      CHECK((exact > 0) == (kind == ScaleKind::ue8m0_ceil && to != e5m2));  // E5M2 loses a bit
    }
}

TEST_CASE("bounds: a subnormal is requantised exactly where the new steps divide the old ones") {
  const Quantisation how{.scale = ScaleKind::ue8m0_ceil};
  const double x = 3 * 0x1p-9;  // a subnormal code of E4M3 under scale 1
  CHECK(requantise_bound(x, e4m3, 1, 0.5, how) == 0);
  CHECK(requantise_bound(x, e4m3, 1, 1, how) == 0);
  CHECK(requantise_bound(x, e4m3, 1, 2, how) == 2 * 0x1p-10);
  CHECK(requantise_bound(x, e4m3, 3, 0.5, how) > 0);  // 3 q has more bits than a code
}
