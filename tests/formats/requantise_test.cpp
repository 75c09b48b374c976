// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <cmath>

#include "reference/formats/quantise.hpp"
#include "tests/formats/slow_quantise.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("requantise: powers of two keep every value exactly unless it falls below the least normal number") {
  const FloatMatrix x = values(300, 260, 7);
  const Quantised stored = quantise(x, {.scale = ScaleKind::ue8m0_ceil});
  const Quantised turned = requantise(stored, {.groups = tile_128x1, .scale = ScaleKind::ue8m0_ceil});
  const FloatMatrix before = dequantise(stored), after = dequantise(turned);
  Index changed = 0, subnormal = 0;
  for (Index i = 0; i < x.rows(); ++i)
    for (Index j = 0; j < x.cols(); ++j) {
      const bool below = std::abs(before(i, j)) < 0x1p-6f * turned.s(i / 128, j);
      subnormal += below;
      changed += before(i, j) != after(i, j);
      if (!below && before(i, j) != after(i, j)) FAIL(i << ' ' << j);
    }
  CHECK(subnormal > 0);
  CHECK(changed > 0);  // the exception is real
}

TEST_CASE("requantise: FP32 scales round a second time, almost everywhere where the scales differ") {
  const FloatMatrix x = values(256, 256, 8);
  const Quantised stored = quantise(x), turned = requantise(stored, {.groups = tile_128x1});
  const FloatMatrix before = dequantise(stored), after = dequantise(turned);
  CHECK((before.array() != after.array()).count() > before.size() / 2);
  CHECK(turned.q == quantise(before, {.groups = tile_128x1}).q);
}

TEST_CASE("quantise: square blocks survive transposition, tiles change their shape") {
  const FloatMatrix x = values(200, 300, 9);
  const FloatMatrix x_t = x.transpose();
  const Quantised block = transposed(quantise(x, {.groups = block_128x128})),
                  of_t = quantise(x_t, {.groups = block_128x128});
  CHECK(block.q == of_t.q);
  CHECK(block.s == of_t.s);
  const Quantised tile = transposed(quantise(x, {.groups = tile_128x1}));
  CHECK(tile.groups == tile_1x128);
  CHECK(tile.q == quantise(x_t).q);
  CHECK(tile.s == quantise(x_t).s);
}

TEST_CASE("quantise: one token a thousand times larger drowns its 128x128 block, not its tiles (appendix B.2)") {
  Random random(10);
  FloatMatrix x(128, 128);
  for (float& value : x.reshaped()) value = static_cast<float>(random.normal());
  x.row(5) *= 1000;
  // Of the values within a thousandth to one of the scale of their row, the part that is off by more than half a step
  // of a normal number: 2^-4.
  const auto part_lost = [&](const Groups& groups) {
    const FloatMatrix back = dequantise(quantise(x, {.groups = groups}));
    const auto counted = x.array().abs() > 1e-3f;
    const auto lost = (back - x).array().abs() > 0x1p-4f * 1.0001f * x.array().abs();
    return static_cast<double>((counted && lost).count()) / static_cast<double>(counted.count());
  };
  CHECK(part_lost(tile_1x128) == 0);
  CHECK(part_lost(block_128x128) > 0.02);
}
