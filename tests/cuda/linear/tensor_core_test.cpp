// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <set>

#include "tests/cuda/linear/probe.hpp"
#include "tests/linear/fp8_twin.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

bool is_cheap(const DotClass& of) { return of.steps <= (cuda::device().is_played ? 16 : 512); }

/// The model's twin in integers, from the bits of the codes: for products that begin with c = 0.
float twin_of(const DotTile& tile, Index i, Index j) {
  const auto a = tile.a_row(i), b = tile.b_row(j);
  return twin_sum(hopper_fp8_wgmma, tile.format, tile.format, {a.begin(), a.end()}, {b.begin(), b.end()});
}

}  // namespace

TEST_CASE("probe: class by class, the played device has the model's bits; a real one is asked") {
  for (const FormatId id : {FormatId::e4m3, FormatId::e5m2})
    for (const DotClass& of : dot_classes()) {
      if (!is_cheap(of)) continue;
      const Agreement result = ask(of, id, cuda::device().is_played ? 2 : 40, 11);
      CAPTURE(of.name);
      if (cuda::device().is_played) CHECK(result.equal == result.dots);
      else MESSAGE(format(id).name << ", " << of.name << ": " << result.equal << " of " << result.dots);
      CHECK(result.dots % dots_of_tile == 0);
    }
}

TEST_CASE("probe: every element gets its own row of a, row of b and c, in every step of a chain") {
  // Few products, of 1 and 2: small integers, exact in every arithmetic.
  constexpr Index steps = 7;
  DotTile tile{FormatId::e4m3, steps, {}, {}, {}};
  Random random(3);
  for (Index i = 0; i < dot_rows * tile.depth(); ++i) tile.a.push_back(random.below(8) == 0 ? 0x38 : 0);
  for (Index j = 0; j < dot_cols * tile.depth(); ++j) tile.b.push_back(random.below(8) == 0 ? 0x40 : 0);
  for (Index i = 0; i < dots_of_tile; ++i) tile.c.push_back(static_cast<float>(random.below(256)));
  const auto found = on_device({tile});
  for (Index i = 0; i < dot_rows; ++i)
    for (Index j = 0; j < dot_cols; ++j) {
      float sum = tile.c[i * dot_cols + j];
      for (Index k = 0; k < tile.depth(); ++k)
        sum += values_of(FormatId::e4m3)[tile.a_row(i)[k]] * values_of(FormatId::e4m3)[tile.b_row(j)[k]];
      CHECK(found[i * dot_cols + j] == sum);
    }
}

TEST_CASE("probe: the model that is asked is the twin's in integers, where the register begins as 0") {
  Random random(5);
  for (const FormatId id : {FormatId::e4m3, FormatId::e5m2})
    for (const DotClass& of : dot_classes()) {
      if (of.c != DotRegister::zero || of.steps > 16) continue;
      const DotTile tile = draw_tile(of, id, random);
      CAPTURE(of.name);
      for (Index i = 0; i < dot_rows; i += 3)
        for (Index j = 0; j < dot_cols; ++j) CHECK(agree(modelled(tile, i, j), twin_of(tile, i, j)));
    }
}

TEST_CASE("probe: the classes have what they are named after") {
  Random random(7);
  std::set<std::string_view> names;
  for (const DotClass& of : dot_classes()) {
    CHECK(names.insert(of.name).second);
    if (of.steps > 16) continue;
    Index cut = 0, zero = 0, special = 0;
    const DotTile tile = draw_tile(of, FormatId::e5m2, random);
    for (Index i = 0; i < dot_rows; ++i)
      for (Index j = 0; j < dot_cols; ++j) {
        double exact = tile.c[i * dot_cols + j];
        for (Index k = 0; k < tile.depth(); ++k)
          exact += double{values_of(tile.format)[tile.a_row(i)[k]]} * values_of(tile.format)[tile.b_row(j)[k]];
        const float sum = modelled(tile, i, j);
        special += !std::isfinite(sum), zero += sum == 0, cut += std::isfinite(sum) && sum != exact;
      }
    CAPTURE(of.name);
    const bool asks_specials = of.codes == DotCodes::special || of.c == DotRegister::special;
    CHECK((special > dots_of_tile / 16) == asks_specials);
    CHECK(special + zero < dots_of_tile);
    if (of.codes != DotCodes::subnormal) CHECK(cut > dots_of_tile / 16);  // bits are lost: there is something to see
  }
}

TEST_CASE("probe: no tiles or no steps, and what is refused") {
  const cuda::Buffer<std::uint8_t> codes(64);
  const cuda::Buffer<float> c(std::vector<float>(dots_of_tile, 2.5f));
  cuda::Buffer<float> d(dots_of_tile);
  cuda::WgmmaProbe probe{0, 1, cuda::ProbeFormat::e4m3, codes.data(), codes.data(), c.data(), d.data()};
  cuda::wgmma_steps(probe);
  cuda::synchronise();
  for (const float value : d.to_host()) CHECK(std::isnan(value));
  probe.tiles = 1, probe.steps = 0;
  cuda::wgmma_steps(probe);
  cuda::synchronise();
  for (const float value : d.to_host()) CHECK(value == 2.5f);
  probe.tiles = -1;
  CHECK_THROWS_AS(cuda::wgmma_steps(probe), std::invalid_argument);
  probe.tiles = 1, probe.steps = -1;
  CHECK_THROWS_AS(cuda::wgmma_steps(probe), std::invalid_argument);
  probe.steps = 1, probe.b += 8;
  CHECK_THROWS_AS(cuda::wgmma_steps(probe), std::invalid_argument);
}
