// SPDX-License-Identifier: MIT
#include "reference/linear/kept.hpp"

#include "reference/core/bytes.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("kept: as it is, without a copy where it is read") {
  const Matrix m = probe(5, 300, 1);
  const Kept kept(m);
  Matrix space;
  CHECK(different(kept.read(space), m) == "");
  CHECK(space.size() == 0);
  CHECK(different(kept.value(), m) == "");
  CHECK(kept.rows() == 5);
  CHECK(bytes_of(kept) == 5 * 300 * sizeof(real));
}

TEST_CASE("kept: in FP8, a byte a value and a scale for each 128 in a row; it reads as its dequantised codes") {
  const Matrix m = probe(5, 300, 1);
  const Kept kept = Kept::in_fp8(m, {});
  Matrix space;
  const Matrix expected = dequantise(quantise(m.cast<float>())).cast<real>();
  CHECK(different(kept.read(space), expected) == "");
  CHECK(different(Kept(kept).value(), expected) == "");
  CHECK(different(expected, m) != "");
  CHECK(kept.shape() == Shape{5, 300});
  CHECK(bytes_of(kept) == 5 * 300 + 5 * 3 * sizeof(float));
  const Fp8Recipe other{.forward = FormatId::e5m2, .scale = ScaleKind::ue8m0_ceil};
  const Quantised by_other = quantise(m.cast<float>(), {.format = FormatId::e5m2, .scale = ScaleKind::ue8m0_ceil});
  CHECK(different(Kept::in_fp8(m, other).value(), dequantise(by_other).cast<real>()) == "");
}

TEST_CASE("kept: in E5M6, twelve bits a value and powers of two as scales; 1 of 128 of each value may be lost") {
  const Matrix m = probe(5, 304, 1);
  const Kept kept = Kept::in_e5m6(m);
  CHECK(bytes_of(kept) == 5 * 304 * 3 / 2 + 5 * 3 * sizeof(float));
  CHECK(kept.shape() == Shape{5, 304});
  CHECK(kept.codes() == nullptr);  // not those of FP8
  const Matrix seen = kept.value();
  const Quantised16 by_hand = quantise16(m.cast<float>(), {.format = FormatId::e5m6, .scale = ScaleKind::ue8m0_ceil});
  CHECK(different(seen, dequantise(by_hand).cast<real>()) == "");
  CHECK(different(seen, m) != "");
  for (Index i = 0; i < m.rows(); ++i)  // six fraction bits: half a unit is 2^-7 of the value; none is subnormal here
    for (Index j = 0; j < m.cols(); ++j) CHECK(std::abs(seen(i, j) - m(i, j)) <= real(0x1p-7) * std::abs(m(i, j)));
}
