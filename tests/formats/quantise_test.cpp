// SPDX-License-Identifier: MIT
#include "reference/formats/quantise.hpp"

#include <doctest/doctest.h>
#include <omp.h>

#include <cmath>
#include <limits>

#include "tests/formats/slow_quantise.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {
using enum FormatId;
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN();

/// Group by group, as many rows and columns as are left of the matrix.
template <class Quantised>
std::string different_from_twin(const FloatMatrix& x, const Quantisation& how, const Quantised& got) {
  const SlowEncoder slow{std::string(format(how.format).name)};
  const std::string name(dialect(how.dialect).name);
  for (Index row = 0; row < x.rows(); row += how.groups.rows)
    for (Index col = 0; col < x.cols(); col += how.groups.cols) {
      const Index rows = std::min(how.groups.rows, x.rows() - row), cols = std::min(how.groups.cols, x.cols() - col);
      const auto group = x.block(row, col, rows, cols);
      const SlowScale scale =
          slow_scale(name, group.cwiseAbs().maxCoeff(), slow.largest, how.scale == ScaleKind::ue8m0_ceil);
      const std::string where = " of the group at " + std::to_string(row) + ", " + std::to_string(col);
      if (got.s(row / how.groups.rows, col / how.groups.cols) != scale.stored) return "scale" + where;
      for (Index i = 0; i < rows; ++i)
        for (Index j = 0; j < cols; ++j)
          if (got.q(row + i, col + j) != slow(scale.of(group(i, j)))) return "code" + where;
    }
  return {};
}

std::string different_from_twin(const FloatMatrix& x, const Quantisation& how) {
  if (format(how.format).bits() <= 8) return different_from_twin(x, how, quantise(x, how));
  return different_from_twin(x, how, quantise16(x, how));
}

FloatMatrix row_of(std::initializer_list<float> list) {
  FloatMatrix x(1, static_cast<Index>(list.size()));
  std::copy(list.begin(), list.end(), x.data());
  return x;
}
}  // namespace

TEST_CASE("quantise: every dialect, layout and format equals the twin bit for bit, ragged edges and all") {
  const FloatMatrix x = values(133, 267, 1);
  const Groups layouts[] = {tile_1x128,   tile_128x1,           block_128x128, block_mx,
                            per_row(267), per_tensor(133, 267), {3, 5}};
  for (const DialectRow& row : dialects) {
    const auto d = static_cast<Dialect>(&row - dialects.data());
    CAPTURE(row.name);
    for (const Groups& groups : layouts) {
      CAPTURE(groups.rows);
      CAPTURE(groups.cols);
      for (const ScaleKind kind : {ScaleKind::fp32, ScaleKind::ue8m0_ceil})
        CHECK(different_from_twin(x, {.groups = groups, .scale = kind, .dialect = d}) == "");
    }
    for (const FormatId id : {e5m2, e3m2, e2m3, e2m1, e5m6, fp16})
      if (d != Dialect::tile_kernels || id != e5m6) CHECK(different_from_twin(x, {.format = id, .dialect = d}) == "");
  }
}

TEST_CASE("quantise: the number of threads changes no bit") {
  const FloatMatrix x = values(300, 400, 2);
  for (const Groups& groups : {tile_1x128, tile_128x1, block_128x128})
    for (const Rounding rounding : {Rounding::nearest_even, Rounding::stochastic}) {
      const Quantisation how{.groups = groups, .rounding = rounding, .seed = 5};
      const int threads = omp_get_max_threads();
      omp_set_num_threads(1);
      const Quantised one = quantise(x, how);
      omp_set_num_threads(3);
      const Quantised three = quantise(x, how);
      omp_set_num_threads(threads);
      CHECK(one.q == three.q);
      CHECK(one.s == three.s);
    }
}

TEST_CASE("quantise: stochastic rounding takes the random bits of an element's place in the matrix") {
  const FloatMatrix x = values(20, 300, 11);
  for (const Groups& groups : {tile_1x128, tile_128x1, block_128x128}) {
    const Quantised q = quantise(x, {.groups = groups, .rounding = Rounding::stochastic, .seed = 8});
    for (Index i = 0; i < x.rows(); ++i)
      for (Index j = 0; j < x.cols(); ++j) {
        const float y = x(i, j) / q.s(i / groups.rows, j / groups.cols);
        const std::uint32_t bits = random_bits(8, static_cast<std::uint64_t>(i * 300 + j));
        if (q.q(i, j) != encode(e4m3, y, Rounding::stochastic, Overflow::saturate, bits)) FAIL(i << ' ' << j);
      }
  }
}

TEST_CASE("quantise: a view with an outer stride, and the scales alone") {
  const FloatMatrix x = values(20, 300, 3), part = x.block(2, 30, 9, 200);
  const Quantised q = quantise(x.block(2, 30, 9, 200));
  CHECK(q.q == quantise(part).q);
  CHECK(q.s == scales_of(part));
  CHECK(quantise(x, {.groups = tile_128x1}).s == scales_of(x, {.groups = tile_128x1}));
}

TEST_CASE("quantise: the table of section 3.3: s, UE8M0 by ceil and OCP's floor") {
  struct Row {
    float amax, s;
    int ceil_exponent;
    float over_ceil;
    int floor_exponent;
    float over_floor;  // after rounding to E4M3, where it saturates
  };
  const Row table[] = {{1e-4f, 2.2321428e-7f, -22, 419.43f, -22, 419.43f},
                       {0.01f, 2.232143e-5f, -15, 327.68f, -15, 327.68f},
                       {0.5f, 1.116071e-3f, -9, 256, -9, 256},
                       {1, 2.232143e-3f, -8, 256, -8, 256},
                       {1.75f, 3.90625e-3f, -8, 448, -8, 448},
                       {2, 4.464286e-3f, -7, 256, -7, 256},
                       {7, 0.015625f, -6, 448, -6, 448},
                       {100, 0.2232143f, -2, 400, -2, 400},
                       {447.99f, 0.9999777f, 0, 447.99f, 0, 447.99f},
                       {448, 1, 0, 448, 0, 448},
                       {448.01f, 1.0000223f, 1, 224.005f, 0, 448.01f},
                       {1000, 2.232143f, 2, 250, 1, 500},
                       {3000, 6.696429f, 3, 375, 3, 375}};
  for (const Row& row : table) {
    CAPTURE(row.amax);
    const FloatMatrix x = row_of({0, -row.amax, row.amax / 3});
    CHECK(quantise(x).s(0, 0) == doctest::Approx(row.s).epsilon(1e-6));  // the table's digits
    const Quantised ceil = quantise(x, {.scale = ScaleKind::ue8m0_ceil}),
                    floor = quantise(x, {.scale = ScaleKind::ocp_floor});
    CHECK(ceil.s(0, 0) == std::ldexp(1.0f, row.ceil_exponent));
    CHECK(encode(ue8m0, ceil.s(0, 0)) == static_cast<std::uint32_t>(row.ceil_exponent + 127));
    CHECK(floor.s(0, 0) == std::ldexp(1.0f, row.floor_exponent));
    CHECK(decode(e4m3, ceil.q(0, 1)) == -decode(e4m3, encode(e4m3, row.over_ceil)));
    CHECK(decode(e4m3, floor.q(0, 1)) == -decode(e4m3, encode(e4m3, row.over_floor)));
  }
  CHECK(decode(e4m3, quantise(row_of({1000}), {.scale = ScaleKind::ocp_floor}).q(0, 0)) == 448);  // 500 saturates
}

TEST_CASE("quantise: powers of two are rounded up by bits, also where a logarithm in FP32 is wrong") {
  for (int e = -126; e <= 126; ++e) {
    const float power = std::ldexp(1.0f, e);
    CHECK(power_of_two_at_or_above(power) == power);
    CHECK(power_of_two_at_or_above(std::nextafterf(power, infinity)) == 2 * power);
    CHECK(power_of_two_at_or_above(std::nextafterf(2 * power, 0)) == 2 * power);
    CHECK(power_of_two_at_or_below(std::nextafterf(2 * power, 0)) == power);
    CHECK(power_of_two_at_or_below(power) == power);
  }
  CHECK(power_of_two_at_or_above(0x1p-149f) == 0x1p-126f);
  CHECK(power_of_two_at_or_below(0x1.8p-140f) == 0x1p-140f);
}

TEST_CASE("quantise: UE8M0 by ceil never saturates, OCP's floor does, for the same data") {
  const FloatMatrix x = values(64, 256, 4);
  const Quantised ceil = quantise(x, {.scale = ScaleKind::ue8m0_ceil}), floor = quantise(x, mx(e4m3));
  Index saturated = 0;
  for (Index i = 0; i < x.rows(); ++i)
    for (Index j = 0; j < x.cols(); ++j) {
      if (!(std::abs(x(i, j) / ceil.s(i, j / 128)) <= 448)) FAIL("above 448");
      saturated += std::abs(x(i, j) / floor.s(i, j / 32)) > 464;
    }
  CHECK(saturated > 0);
}

TEST_CASE("quantise: all-zero groups have the smallest scale and codes of zero; no 0/0") {
  FloatMatrix x = FloatMatrix::Zero(2, 256);
  x(0, 200) = 3;
  x(1, 7) = -0.0f;
  for (const Groups& groups : {tile_1x128, tile_128x1}) {
    const Quantised q = quantise(x, {.groups = groups});
    CHECK(q.s(0, 0) == 1e-4f / 448);
    CHECK(q.q(0, 0) == 0);
    CHECK(q.q(1, 7) == 0x80);
  }
  CHECK(quantise(x).s(0, 0) == doctest::Approx(2.2321428e-7).epsilon(1e-7));
  CHECK(quantise(x, {.scale = ScaleKind::ue8m0_ceil}).s(0, 0) == 0x1p-22f);
  CHECK(quantise(x, mx(e4m3)).s(0, 0) == 0x1p-127f);
  CHECK(quantise(x, {.dialect = Dialect::transformer_engine}).s(0, 0) == 1);
}

TEST_CASE("quantise: groups of subnormals") {
  const FloatMatrix x = row_of({0x1p-149f, -0x1.8p-130f, 0x1p-127f});
  CHECK(quantise(x).q == Codes::Zero(1, 3) + (Codes(1, 3) << 0, 0x80, 0).finished());  // the clamp makes them zero
  const Quantised te = quantise(x, {.dialect = Dialect::transformer_engine});
  CHECK(te.s(0, 0) == 1 / std::numeric_limits<float>::max());  // 448 / amax overflows
  CHECK(te.q(0, 0) == encode(e4m3, 0x1p-149f * std::numeric_limits<float>::max()));
  const Quantised te_power = quantise(x, {.scale = ScaleKind::ue8m0_ceil, .dialect = Dialect::transformer_engine});
  CHECK(te_power.s(0, 0) == 0x1p-127f);
  CHECK(decode(e4m3, te_power.q(0, 2)) == 1);
  const Quantised ocp = quantise(x, mx(e4m3));
  CHECK(ocp.s(0, 0) == 0x1p-127f);  // -127 - 8 is below UE8M0
  CHECK(decode(e4m3, ocp.q(0, 2)) == 1);
  CHECK(decode(e4m3, ocp.q(0, 1)) == -0.1875f);
  CHECK(ocp.q(0, 0) == 0);
}

TEST_CASE("quantise: a NaN or an infinity makes its group NaN, and no other") {
  for (const Groups& groups : {tile_1x128, tile_128x1, block_128x128, Groups{2, 64}})
    for (const float bad : {quiet_nan, -quiet_nan, infinity, -infinity})
      for (const ScaleKind kind : {ScaleKind::fp32, ScaleKind::ue8m0_ceil, ScaleKind::ocp_floor}) {
        FloatMatrix x = values(130, 300, 5);
        x(129, 131) = bad;
        const Quantised q = quantise(x, {.groups = groups, .scale = kind});
        const FloatMatrix back = dequantise(q);
        for (Index i = 0; i < x.rows(); ++i)
          for (Index j = 0; j < x.cols(); ++j) {
            const bool lost = i / groups.rows == 129 / groups.rows && j / groups.cols == 131 / groups.cols;
            if (std::isnan(back(i, j)) != lost || (q.q(i, j) == 0x7F) != lost) FAIL(i << ' ' << j);
          }
      }
}

TEST_CASE("quantise: TransformerEngine keeps the neighbours of a NaN, and an infinity sets the scale to 1") {
  for (const Groups& groups : {tile_1x128, tile_128x1}) {
    FloatMatrix x = FloatMatrix::Constant(groups.rows, groups.cols, 224);
    x(0, 0) = quiet_nan;
    const Quantisation how{.groups = groups, .dialect = Dialect::transformer_engine};
    Quantised q = quantise(x, how);
    CHECK(q.s(0, 0) == 0.5f);
    CHECK(std::isnan(decode(e4m3, q.q(0, 0))));
    CHECK(decode(e4m3, q.q(groups.rows - 1, groups.cols - 1)) == 448);
    x(0, 0) = -infinity;
    q = quantise(x, how);
    CHECK(q.s(0, 0) == 1);
    CHECK(decode(e4m3, q.q(0, 0)) == -448);
    CHECK(decode(e4m3, q.q(groups.rows - 1, groups.cols - 1)) == 224);
  }
}

TEST_CASE("quantise: a NaN spoils its group in TransformerEngine as well, where scales are those of OCP") {
  FloatMatrix x = FloatMatrix::Constant(1, 256, 224);
  x(0, 0) = quiet_nan;
  const Quantised q = quantise(x, {.scale = ScaleKind::ocp_floor, .dialect = Dialect::transformer_engine});
  CHECK(std::isnan(q.s(0, 0)));
  CHECK(std::isnan(decode(e4m3, q.q(0, 1))));
  CHECK(decode(e4m3, q.q(0, 128)) == 448);
}

TEST_CASE("quantise: part of a matrix is rounded stochastically as a copy of it is") {
  const FloatMatrix x = values(70, 300, 6), part = x.block(3, 17, 65, 150);
  const Quantisation how{.groups = tile_1x128, .rounding = Rounding::stochastic, .seed = 9};
  CHECK(quantise(x.block(3, 17, 65, 150), how).q == quantise(part, how).q);
}

TEST_CASE("quantise: no rows, no columns, and what is refused") {
  for (const auto& [rows, cols] : {std::pair<Index, Index>{0, 5}, {5, 0}, {0, 0}})
    for (const Groups& groups : {tile_1x128, tile_128x1, block_128x128, per_tensor(rows, cols)}) {
      const Quantised q = quantise(FloatMatrix(rows, cols), {.groups = groups});
      CHECK(q.q.rows() == rows);
      CHECK(q.q.cols() == cols);
      CHECK(q.s.size() == 0);
      CHECK(dequantise(q).size() == 0);
    }
  const FloatMatrix x = values(2, 2, 6);
  CHECK_THROWS_AS(quantise(x, {.groups = {0, 1}}), std::invalid_argument);
  CHECK_THROWS_AS(quantise(x, {.format = ue8m0}), std::invalid_argument);
  CHECK_THROWS_AS(quantise(x, {.format = e5m6}), std::invalid_argument);
  Quantised wrong = quantise(x);
  wrong.s.resize(1, 1);
  CHECK_THROWS_AS(dequantise(wrong), std::invalid_argument);
  CHECK_THROWS_AS(dequantise(Quantised{Codes::Zero(2, 2), Scales::Ones(1, 1), Groups{0, 0}}), std::invalid_argument);
}

TEST_CASE("quantise: the scale shapes of V3's weights, ragged and not (section 3.2)") {
  const std::pair<Shape, Shape> shapes[] = {
      {{1536, 7168}, {12, 56}},   {{24576, 1536}, {192, 12}}, {{576, 7168}, {5, 56}},    {{32768, 512}, {256, 4}},
      {{7168, 16384}, {56, 128}}, {{2048, 7168}, {16, 56}},   {{7168, 18432}, {56, 144}}};
  for (const auto& [weight, scale] : shapes) {
    CHECK(num_groups(weight.rows, block_128x128.rows) == scale.rows);
    CHECK(num_groups(weight.cols, block_128x128.cols) == scale.cols);
  }
}

TEST_CASE("quantise: MX elements by hand") {
  FloatMatrix x = FloatMatrix::Zero(1, 40);
  x(0, 0) = 5;  // floor(log2) = 2
  x(0, 1) = 0.3f;
  x(0, 39) = -1.9f;                                // a second, ragged block: floor(log2) = 0
  const Quantised e2m1_x = quantise(x, mx(e2m1));  // emax 2
  CHECK(e2m1_x.s(0, 0) == 1);
  CHECK(decode(e2m1, e2m1_x.q(0, 0)) == 4);  // the tie of 4 and 6
  CHECK(decode(e2m1, e2m1_x.q(0, 1)) == 0.5f);
  CHECK(e2m1_x.s(0, 1) == 0.25f);
  CHECK(decode(e2m1, e2m1_x.q(0, 39)) == -6);      // -7.6 saturates
  const Quantised int8_x = quantise(x, mx(int8));  // emax 0
  CHECK(int8_x.s(0, 0) == 4);
  CHECK(decode(int8, int8_x.q(0, 0)) == 1.25f);
  CHECK(decode(int8, int8_x.q(0, 1)) == 5.0f / 64);      // 4.8 / 64
  CHECK(decode(int8, int8_x.q(0, 39)) == -122.0f / 64);  // 121.6
  CHECK(quantise(x, mx(e3m2)).s(0, 0) == 0.25f);
  CHECK(quantise(x, mx(e2m3)).s(0, 0) == 1);
  CHECK(quantise(x, mx(e5m2)).s(0, 0) == 0x1p-13f);
}
