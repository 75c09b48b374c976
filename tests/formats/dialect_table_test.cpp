// SPDX-License-Identifier: MIT
#include "reference/formats/dialect_table.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "reference/core/random.hpp"
#include "reference/formats/bf16.hpp"
#include "reference/formats/quantise.hpp"

using namespace dsv3;

TEST_CASE("dialects: where codes differ they are neighbours, of one scale or of two that differ in the last bit") {
  Random random(1);
  FloatMatrix x(4000, 128);
  for (float& value : x.reshaped()) value = float_from_bf16(bf16_from_float(static_cast<float>(random.normal())));
  const Quantised first = quantise(x);
  Index num_different = 0;
  for (std::size_t d = 1; d < dialects.size(); ++d) {
    const Quantised other = quantise(x, {.dialect = static_cast<Dialect>(d)});
    CHECK(((other.s - first.s).array().abs() <= 0x1p-22f * first.s.array()).all());
    for (Index i = 0; i < x.size(); ++i) {
      const int step = int{other.q.data()[i]} - int{first.q.data()[i]};
      if (std::abs(step) > 1) FAIL(i);
      num_different += step != 0;
    }
  }
  CHECK(num_different > 0);
}

TEST_CASE("dialects: all agree on E4M3's power of two for every amax of a binade") {
  Index num_different = 0;
  for (std::uint32_t fraction = 0; fraction < 1u << 23; ++fraction) {
    const float amax = std::bit_cast<float>(std::bit_cast<std::uint32_t>(1.0f) | fraction);
    const float s = group_scale(amax, format(FormatId::e4m3), Dialect::deepseek_v3, ScaleKind::ue8m0_ceil).s;
    for (std::size_t d = 1; d < dialects.size(); ++d)
      num_different += group_scale(amax, format(FormatId::e4m3), static_cast<Dialect>(d), ScaleKind::ue8m0_ceil).s != s;
  }
  CHECK(num_different == 0);
}

TEST_CASE("dialects: for E4M3 tile_kernels gives the bits of deepep, for numbers of any size") {
  Random random(2);
  FloatMatrix x(1000, 128);
  for (float& value : x.reshaped()) {
    value = INFINITY;
    while (!std::isfinite(value)) value = std::bit_cast<float>(static_cast<std::uint32_t>(random.bits() >> 32));
  }
  const Quantised a = quantise(x, {.dialect = Dialect::deepep}), b = quantise(x, {.dialect = Dialect::tile_kernels});
  CHECK((a.q.array() == b.q.array()).all());
  CHECK((a.s.array() == b.s.array()).all());
}

/// DSV3_WRITE_DOCS=1 in the environment writes the page's table anew.
TEST_CASE("dialect table: docs/fp8_dialects.md has what the code computes") {
  const std::string path = DSV3_SOURCE_DIR "/docs/fp8_dialects.md", begin = "<!-- generated -->\n";
  std::stringstream page;
  page << std::ifstream(path).rdbuf();
  const std::string text = page.str();
  const auto at = text.find(begin);
  REQUIRE(at != std::string::npos);
  for (const DialectRow& row : dialects) {
    CAPTURE(row.name);
    CHECK(text.find(row.name) != std::string::npos);
  }
  const std::string expected = text.substr(0, at + begin.size()) + "\n" + dialect_table();
  if (std::getenv("DSV3_WRITE_DOCS") != nullptr) std::ofstream(path) << expected;
  else CHECK(text == expected);
}

TEST_CASE("group_scale: ue8m0_floor and ue8m0_nearest are 2^floor and 2^round of log2(amax / 448) in every dialect") {
  for (std::size_t d = 0; d < dialects.size(); ++d)
    for (const float amax : {0.02f, 1.0f, 447.99f, 448.01f, 600.0f, 633.5f, 633.6f, 1000.0f, 1e20f}) {
      CAPTURE(dialects[d].name);
      CAPTURE(amax);
      const double exact = std::log2(double{amax} / 448);
      const auto s = [&](ScaleKind kind) {
        return group_scale(amax, format(FormatId::e4m3), static_cast<Dialect>(d), kind).s;
      };
      CHECK(s(ScaleKind::ue8m0_floor) == std::exp2(std::floor(exact)));
      CHECK(s(ScaleKind::ue8m0_nearest) == std::exp2(std::round(exact)));
    }
}
