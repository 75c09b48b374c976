// SPDX-License-Identifier: MIT
#include "reference/linear/fp8_gemm.hpp"

#include <omp.h>

#include <limits>

#include "tests/linear/fp8_cases.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

constexpr Groups one_group{1 << 20, 1 << 20};

/// Every preset, and ways to add up that no preset has: each field moves.
std::vector<Accumulation> ways() {
  std::vector<Accumulation> all;
  for (const NamedAccumulation& preset : accumulations()) all.push_back(preset.accumulation);
  all.push_back({.fraction_bits = 14});
  all.push_back({.fraction_bits = 20, .output_fraction_bits = 23});
  all.push_back({.fraction_bits = 10, .output_fraction_bits = 7, .products = 8});
  all.push_back({.fraction_bits = 28, .output_fraction_bits = 23, .products = 64});
  all.push_back({.fraction_bits = 20, .output_fraction_bits = 10, .products = 24, .splits = 3});
  for (const int bits : {13, 25})
    for (const Cut align : {Cut::toward_zero, Cut::to_nearest_even})
      all.push_back({.fraction_bits = bits,
                     .output_fraction_bits = bits - 2,
                     .products = 16,
                     .align_cut = align,
                     .output_cut = Cut::to_nearest_even});
  all.push_back({.products = 16, .align_cut = Cut::to_nearest_even});
  return all;
}

struct Sizes {
  Index m, n, k;
};

}  // namespace

TEST_CASE("fp8 gemm: every way to add up gives its integer twin's bits, on every kind of data") {
  Index checked = 0;
  for (const Accumulation& accumulation : ways())
    for (const Data data : all_data)
      for (const auto& [A, B] : {std::pair{FormatId::e4m3, FormatId::e4m3},
                                 {FormatId::e5m2, FormatId::e4m3},
                                 {FormatId::e5m2, FormatId::e5m2}}) {
        const Coded a = coded(A, 7, 300, tile_1x128, data, 1), b = coded(B, 19, 300, block_128x128, data, 2);
        for (const ScaleOrder order : {ScaleOrder::together, ScaleOrder::in_turn}) {
          const Fp8Arithmetic how{accumulation, order};
          Scales y(7, 19);
          fp8_fprop(y, a, b, how);
          CAPTURE(accumulation.fraction_bits);
          CAPTURE(static_cast<int>(accumulation.sum));
          CAPTURE(static_cast<int>(data));
          CHECK(different_fp32(y, twin_product(a, false, b, false, how)) == "");
          checked += y.size();
        }
      }
  MESSAGE(checked << " elements");
}

TEST_CASE("fp8 gemm: three directions, ragged shapes and several tiles give the twin's bits") {
  // below, at and above strips of 6, panels of 16, blocks of 128; the last two need more than one tile
  for (const auto [m, n, k] : {Sizes{1, 1, 1},
                               {6, 16, 128},
                               {7, 17, 129},
                               {5, 15, 127},
                               {13, 33, 31},
                               {12, 50, 257},
                               {200, 9, 40},
                               {4, 530, 33}})
    for (const Accumulation& accumulation : {hopper_fp8_wgmma, blackwell_fp8, fp32_sums, exact_sums}) {
      CAPTURE(m);
      CAPTURE(n);
      CAPTURE(k);
      const Fp8Arithmetic how{accumulation};
      const FormatId f = FormatId::e4m3;
      const Coded x = coded(f, m, k, tile_1x128, Data::finite, 1), W = coded(f, n, k, block_128x128, Data::any, 2);
      Scales y = Scales::Constant(m, n, 7);
      fp8_fprop(y, x, W, how);
      CHECK(different_fp32(y, twin_product(x, false, W, false, how)) == "");
      const Coded W_T = coded(f, k, n, block_128x128, Data::finite, 3);
      fp8_dgrad(y, x, W_T, how);
      CHECK(different_fp32(y, twin_product(x, false, W_T, true, how)) == "");
      const Coded dy = coded(f, k, m, tile_128x1, Data::any, 4), in = coded(f, k, n, tile_128x1, Data::finite, 5);
      Scales dW = Scales::Constant(m, n, 7), sum = twin_product(dy, true, in, true, how);
      sum.array() += 7;
      fp8_wgrad(dW, dy, in, how);
      CHECK(different_fp32(dW, sum) == "");
    }
}

TEST_CASE("fp8 gemm: scales of any groups, and promotion at any interval in which they are constant") {
  const FormatId f = FormatId::e4m3;
  for (const Index interval : {1, 32, 48, 64, 128, 256, 300, 0})
    for (const Accumulation& base : {hopper_fp8_wgmma, ada_fp8, blackwell_fp8, fp32_sums, exact_sums}) {
      CAPTURE(interval);
      const Fp8Arithmetic how{base.promoted_every(interval)};
      for (const Groups groups : {Groups{1, 1 << 20}, one_group, Groups{1, 768}, Groups{4, 768}}) {
        const Coded a = coded(f, 9, 700, groups, Data::finite, 1), b = coded(f, 18, 700, groups, Data::finite, 2);
        Scales y(9, 18);
        fp8_fprop(y, a, b, how);
        CHECK(different_fp32(y, twin_product(a, false, b, false, how)) == "");
      }
    }
}

TEST_CASE("fp8 gemm: a scale that changes between two promotions is an error that says where") {
  const FormatId f = FormatId::e4m3;
  const Coded a = coded(f, 3, 256, tile_1x128, Data::finite, 1), b = coded(f, 4, 256, one_group, Data::finite, 2);
  Scales y(3, 4);
  const auto run = [&](Index interval) { fp8_fprop(y, a, b, {hopper_fp8_wgmma.promoted_every(interval)}); };
  for (const Index interval : {1, 32, 64, 128}) CHECK_NOTHROW(run(interval));
  const char* message =
      "fp8_fprop: the left operand has a new scale every 128 elements of the dimension that is summed over, one of "
      "them "
      "between 0 and 255, but is promoted every 256; scales must be constant between promotions";
  CHECK_THROWS_WITH_AS(run(256), message, std::invalid_argument);
  for (const Index interval : {0, 96, 192}) CHECK_THROWS_AS(run(interval), std::invalid_argument);
}

TEST_CASE("fp8 gemm: bad input is an error that says what is needed") {
  const FormatId f = FormatId::e4m3;
  Coded a = coded(f, 3, 256, tile_1x128, Data::finite, 1);
  const Coded b = coded(f, 4, 256, block_128x128, Data::finite, 2);
  Scales y(3, 4), wrong(4, 3);
  CHECK_THROWS_AS(fp8_fprop(wrong, a, b), std::invalid_argument);
  CHECK_THROWS_AS(fp8_dgrad(y, a, b), std::invalid_argument);
  CHECK_THROWS_AS(fp8_wgrad(y, a, b), std::invalid_argument);
  for (const Accumulation& bad :
       {Accumulation{.fraction_bits = 0}, Accumulation{.fraction_bits = 29}, Accumulation{.output_fraction_bits = 24},
        Accumulation{.products = 129}, Accumulation{.splits = 3}, Accumulation{.interval = -1}})
    CHECK_THROWS_AS(fp8_fprop(y, a, b, {bad}), std::invalid_argument);
  a.s.resize(3, 1);
  CHECK_THROWS_WITH_AS(fp8_fprop(y, a, b),
                       "fp8_fprop: the left operand is [3, 256] in groups of 1 x 128 but its scales are [3, 1]; needed "
                       "are [3, 2]",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(accumulation_named("volta"),
                       "accumulation: 'volta' is not one of hopper_fp8_wgmma, ada_fp8, blackwell_fp8, fp32, exact",
                       std::invalid_argument);
  for (const NamedAccumulation& preset : accumulations()) CHECK(accumulation_named(preset.name) == preset.accumulation);
}

TEST_CASE("fp8 gemm: nothing to sum is 0, or what was there; nothing to write is fine") {
  const FormatId f = FormatId::e4m3;
  for (const Accumulation& accumulation : ways())
    for (const Index interval : {0, 128}) {
      const Fp8Arithmetic how{accumulation.promoted_every(interval)};
      const auto empty = [&](Index rows, Index cols) { return coded(f, rows, cols, tile_1x128, Data::finite, 1); };
      Scales out = Scales::Constant(3, 4, 5);
      fp8_wgrad(out, empty(0, 3), empty(0, 4), how);
      CHECK(different_fp32(out, Scales::Constant(3, 4, 5)) == "");
      fp8_fprop(out, empty(3, 0), empty(4, 0), how);
      CHECK(different_fp32(out, Scales::Zero(3, 4)) == "");
      Scales none(0, 4);
      fp8_fprop(none, empty(0, 5), empty(4, 5), how);
      const Coded zeros{Codes::Constant(2, 40, 0x80), Scales::Ones(2, 1), tile_1x128, f};  // -0
      Scales zero = Scales::Ones(2, 2);
      fp8_fprop(zero, zeros, zeros, how);
      CHECK(different_fp32(zero, Scales::Zero(2, 2)) == "");  // +0
    }
}

TEST_CASE("fp8 gemm: NaN and infinities reach their own row and column only") {
  const FormatId f = FormatId::e5m2;
  for (const Accumulation& accumulation : ways()) {
    const Fp8Arithmetic how{accumulation};
    Coded a = coded(f, 10, 200, tile_1x128, Data::normal, 1), b = coded(f, 30, 200, block_128x128, Data::normal, 2);
    Scales clean(10, 30), y(10, 30);
    fp8_fprop(clean, a, b, how);
    a.q(4, 150) = 0x7D;
    a.q(6, 3) = 0x7C;
    b.q(9, 70) = 0xFC;
    b.q(11, 3) = 0;
    fp8_fprop(clean, coded(f, 10, 200, tile_1x128, Data::normal, 1), b, how);
    fp8_fprop(y, a, b, how);
    for (Index i = 0; i < 10; ++i)
      for (Index j = 0; j < 30; ++j)
        if (i == 4) CHECK(std::isnan(y(i, j)));
        else if (i != 6 && j != 9) CHECK(y(i, j) == clean(i, j));
        else if (i == 6 && j == 11) CHECK(std::isnan(y(i, j)));  // infinity times 0
        else CHECK(!std::isfinite(y(i, j)));
  }
}

TEST_CASE("fp8 gemm: the bits do not depend on the number of threads nor on the other rows") {
  const FormatId f = FormatId::e4m3;
  const Coded x = coded(f, 400, 200, tile_1x128, Data::normal, 1), W = coded(f, 600, 200, block_128x128, Data::any, 2);
  const int before = omp_get_max_threads();
  for (const Accumulation& accumulation : {fp32_sums, hopper_fp8_wgmma, blackwell_fp8, exact_sums}) {
    std::vector<Scales> y;
    for (const int threads : {1, 2, 5}) {
      omp_set_num_threads(threads);
      y.emplace_back(400, 600);
      fp8_fprop(y.back(), x, W, {accumulation});
      CHECK(different_fp32(y.back(), y.front()) == "");
    }
    omp_set_num_threads(before);
    for (const Index row : {0, 191, 192, 399}) {
      const Coded one{x.q.row(row), x.s.row(row), x.groups, f};
      Scales y_row(1, 600);
      fp8_fprop(y_row, one, W, {accumulation});
      CHECK(different_fp32(y_row, y.front().row(row)) == "");
    }
  }
}

TEST_CASE("fp8 gemm: grouped by expert, each expert gets the bits of the dense product of its rows") {
  const FormatId f = FormatId::e4m3;
  const std::vector<Index> begin{0, 5, 5, 133, 140};  // an expert without tokens
  const Coded x = coded(f, 140, 200, tile_1x128, Data::normal, 1), dy = coded(f, 140, 70, tile_1x128, Data::normal, 2);
  std::vector<Coded> W;
  for (std::uint64_t e = 0; e < 4; ++e) W.push_back(coded(f, 70, 200, block_128x128, Data::finite, 3 + e));
  const std::vector<Fp8Operand> weights(W.begin(), W.end());
  for (const Accumulation& accumulation : {fp32_sums, hopper_fp8_wgmma, exact_sums}) {
    const Fp8Arithmetic how{accumulation};
    Scales y(140, 70), dx(140, 200);
    fp8_fprop_grouped(y, x, begin, weights, how);
    fp8_dgrad_grouped(dx, dy, begin, weights, how);
    for (std::size_t e = 0; e < 4; ++e) {
      const Index first = begin[e], count = begin[e + 1] - first;
      const Coded x_e{x.q.middleRows(first, count), x.s.middleRows(first, count), x.groups, f};
      const Coded dy_e{dy.q.middleRows(first, count), dy.s.middleRows(first, count), dy.groups, f};
      Scales y_e(count, 70), dx_e(count, 200);
      fp8_fprop(y_e, x_e, W[e], how);
      fp8_dgrad(dx_e, dy_e, W[e], how);
      CHECK(different_fp32(y.middleRows(first, count), y_e) == "");
      CHECK(different_fp32(dx.middleRows(first, count), dx_e) == "");
    }
  }
}

TEST_CASE("fp8 gemm: Wgrad of experts sums the tokens of each, whose groups begin with it") {
  const FormatId f = FormatId::e4m3;
  const std::vector<Index> begin{0, 256, 256, 384, 460};
  const Coded x = coded(f, 460, 40, tile_128x1, Data::normal, 1), dy = coded(f, 460, 30, tile_128x1, Data::normal, 2);
  for (const Accumulation& accumulation : {fp32_sums, hopper_fp8_wgmma, exact_sums}) {
    const Fp8Arithmetic how{accumulation};
    std::vector<Scales> dW(4, Scales::Constant(30, 40, 0.5f));
    fp8_wgrad_grouped(dW, dy, x, begin, how);
    for (std::size_t e = 0; e < 4; ++e)
      for (Index i = 0; i < 30; ++i)
        for (Index j = 0; j < 40; ++j)
          CHECK(dW[e](i, j) == 0.5f + twin_element(dy, true, x, true, how, i, j, begin[e], begin[e + 1]));
  }
  std::vector<Scales> dW(2, Scales::Zero(30, 40));
  CHECK_THROWS_AS(fp8_wgrad_grouped(dW, dy, x, std::vector<Index>{0, 100, 460}), std::invalid_argument);
  CHECK_THROWS_AS(fp8_wgrad_grouped(dW, dy, x, std::vector<Index>{0, 460}), std::invalid_argument);
  CHECK_THROWS_AS(fp8_wgrad_grouped(dW, dy, x, std::vector<Index>{0, 256, 459}), std::invalid_argument);
}

TEST_CASE("fp8 gemm: blocks of larger results are written, and nothing beside them") {
  const FormatId f = FormatId::e4m3;
  const Coded a = coded(f, 20, 130, tile_1x128, Data::normal, 1), b = coded(f, 33, 130, block_128x128, Data::normal, 2);
  Scales out = Scales::Constant(40, 60, 3), y(20, 33);
  fp8_fprop(out.block(9, 13, 20, 33), a, b);
  fp8_fprop(y, a, b);
  CHECK(different_fp32(out.block(9, 13, 20, 33), y) == "");
  out.block(9, 13, 20, 33).setConstant(3);
  CHECK(different_fp32(out, Scales::Constant(40, 60, 3)) == "");
}

TEST_CASE("fp8 gemm: sums carried over scales are those of one scale where all are alike; what cannot be is refused") {
  const FormatId f = FormatId::e4m3;
  Coded a = coded(f, 10, 500, tile_1x128, Data::normal, 1), b = coded(f, 30, 500, block_128x128, Data::normal, 2);
  const auto product = [&](const Accumulation& accumulation) {
    Scales y(10, 30);
    fp8_fprop(y, a, b, {.accumulation = accumulation.promoted_every(0), .carries = true});
    return y;
  };
  CHECK_NOTHROW(product(hopper_fp8_wgmma));
  CHECK_THROWS_WITH_AS(product(exact_sums), "fp8_fprop: exact sums are not carried over scales", std::invalid_argument);
  a.s.setConstant(0.5f), b.s.setConstant(4);
  const Coded whole_a{a.q, Scales::Constant(10, 1, 0.5f), {1, 500}, f},
      whole_b{b.q, Scales::Constant(1, 1, 4), {128, 500}, f};
  for (const Accumulation& accumulation : {hopper_fp8_wgmma, ada_fp8, fp32_sums}) {
    Scales one(10, 30);
    fp8_fprop(one, whole_a, whole_b, {accumulation.promoted_every(0)});
    CHECK(different_fp32(product(accumulation), one) == "");
  }
  for (const float bad : {0.0f, -1.0f, 0x1p61f, std::numeric_limits<float>::quiet_NaN()}) {
    a.s(3, 1) = bad;
    CHECK_THROWS_AS(product(hopper_fp8_wgmma), std::invalid_argument);
  }
}
