// SPDX-License-Identifier: MIT
#include "reference/linear/fp8_bounds.hpp"

#include <map>

#include "tests/linear/fp8_cases.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// Exact but for 2^-64 of the sum of magnitudes, which is 2^40 times less than the bound of one rounding to FP32.
class Exact {
 public:
  Exact(const Coded& a, const Coded& b, Index interval)
      : a_(a), b_(b), a_units_(units(a)), b_units_(units(b)), interval_(interval) {}
  long double operator()(Index i, Index j) const {
    long double sum = 0;
    for (Index begin = 0; begin < a_.q.cols(); begin += interval_) {
      Int128 part = 0;  // in units of 2^-32
      for (Index k = begin; k < std::min(begin + interval_, a_.q.cols()); ++k)
        part += Int128{a_units_[a_.q(i, k)]} * b_units_[b_.q(j, k)];
      sum += 0x1p-32L * static_cast<long double>(part) * a_.scale(false, i, begin) * b_.scale(false, j, begin);
    }
    return sum;
  }

 private:
  static std::array<std::int64_t, 256> units(const Coded& m) {
    std::array<std::int64_t, 256> all{};
    for (std::size_t code = 0; code < 256; ++code)
      if (std::isfinite(values_of(m.format)[code]))
        all[code] = static_cast<std::int64_t>(0x1p16f * values_of(m.format)[code]);
    return all;
  }
  const Coded &a_, &b_;
  std::array<std::int64_t, 256> a_units_, b_units_;
  Index interval_;
};

struct Found {
  Index elements = 0, above = 0;
  double largest = 0;  ///< error / bound
};

Found compare(const Coded& a, const Coded& b, const Fp8Arithmetic& how) {
  Scales y(a.q.rows(), b.q.rows());
  fp8_fprop(y, a, b, how);
  const Fp8Operand a_operand = a, b_operand = b;
  const Bounds bound = fp8_error_bound(whole(a_operand, false), whole(b_operand, false), how);
  const Exact exact(a, b, how.accumulation.interval == 0 ? a.q.cols() : how.accumulation.interval);
  Found found{y.size()};
  for (Index i = 0; i < y.rows(); ++i)
    for (Index j = 0; j < y.cols(); ++j) {
      const auto error = static_cast<double>(std::abs(y(i, j) - exact(i, j)));
      if (!(error <= bound(i, j))) ++found.above;
      if (bound(i, j) > 0) found.largest = std::max(found.largest, error / bound(i, j));
    }
  return found;
}

std::vector<NamedAccumulation> ways() {
  std::vector<NamedAccumulation> all(accumulations().begin(), accumulations().end());
  all.push_back({"hopper, not promoted", hopper_fp8_wgmma.promoted_every(0)});
  all.push_back({"fp32, not promoted", fp32_sums.promoted_every(0)});
  all.push_back({"long register", {.fraction_bits = 10, .output_fraction_bits = 20}});
  all.push_back({"short register", {.fraction_bits = 16, .output_fraction_bits = 6}});
  all.push_back({"to nearest", {.align_cut = Cut::to_nearest_even, .output_cut = Cut::to_nearest_even}});
  return all;
}

/// One large product, then the same small one to the end: what loses most. The best of many, and where.
double tightest(const Accumulation& how, ScaleOrder order, Index K) {
  const FormatId f = FormatId::e4m3;
  constexpr Index tried = 126;  // every small positive b beside one a
  const Groups one_scale{1, K};
  Coded a{Codes(1, K), Scales::Ones(1, 1), one_scale, f}, b{Codes(tried, K), Scales(tried, 1), one_scale, f};
  for (Index j = 0; j < tried; ++j) b.s(j, 0) = 1 + static_cast<float>(j * 7919) * 0x1p-23f;  // promotion is inexact
  double largest = 0;
  for (const int big : {0x7E, 0x35})
    for (int small = 1; small < 0x70; small += 3) {
      a.q.setConstant(static_cast<std::uint8_t>(small));
      for (Index j = 0; j < tried; ++j) b.q.row(j).setConstant(static_cast<std::uint8_t>(j + 1));
      a.q(0, 0) = static_cast<std::uint8_t>(big);
      b.q.col(0).setConstant(static_cast<std::uint8_t>(big));
      largest = std::max(largest, compare(a, b, {how, order}).largest);
    }
  return largest;
}

}  // namespace

TEST_CASE("fp8 bound: never exceeded, on any kind of data") {
  std::map<std::string_view, double> largest;
  Index elements = 0;
  for (const auto& [name, accumulation] : ways())
    for (const Data data : all_data) {
      if (data == Data::any) continue;  // NaN: no statement
      for (const auto& [A, B] : {std::pair{FormatId::e4m3, FormatId::e4m3}, {FormatId::e5m2, FormatId::e4m3}})
        for (const Index K : {20, 64, 290})
          for (const ScaleOrder order : {ScaleOrder::together, ScaleOrder::in_turn}) {
            const bool one_scale = accumulation.interval == 0;
            const Groups x = one_scale ? Groups{1, K} : tile_1x128, w = one_scale ? Groups{128, K} : block_128x128;
            const auto seed = static_cast<std::uint64_t>(K);
            const Found found =
                compare(coded(A, 48, K, x, data, seed), coded(B, 64, K, w, data, seed + 1), {accumulation, order});
            CAPTURE(std::string(name));
            CAPTURE(static_cast<int>(data));
            CAPTURE(K);
            CHECK(found.above == 0);
            elements += found.elements;
            largest[name] = std::max(largest[name], found.largest);
          }
    }
  for (const auto& [name, part] : largest) MESSAGE(std::string(name) << ": " << part << " of the bound");
  MESSAGE(elements << " elements");
}

TEST_CASE("fp8 bound: a search comes within a factor of 4 of it for every preset") {
  for (const auto& [name, accumulation] : ways()) {
    CAPTURE(std::string(name));
    for (const ScaleOrder order : {ScaleOrder::together, ScaleOrder::in_turn}) {
      const double part = tightest(accumulation, order, 40);
      MESSAGE(std::string(name) << ": " << part);
      CHECK(part > 0.25);
      CHECK(part <= 1);
    }
  }
}

TEST_CASE("fp8 bound: no error where every product fits, and infinite where nothing can be said") {
  const FormatId f = FormatId::e4m3;
  Coded a{Codes::Constant(2, 200, 0x38), Scales::Ones(2, 2), tile_1x128, f}, b = a;  // ones: sums are integers
  const auto bound = [&](const Accumulation& how) {
    const Fp8Operand x = a, y = b;
    return fp8_error_bound(whole(x, false), whole(y, false), {how});
  };
  CHECK(bound(exact_sums)(0, 0) <= 1.001 * 0x1p-16);  // the two promotions: half an ulp of 128 and of 200
  CHECK(bound(fp32_sums) == bound(exact_sums));
  a.q(0, 5) = 0x7F;
  b.s(1, 0) = std::numeric_limits<float>::infinity();
  CHECK(std::isinf(bound(hopper_fp8_wgmma)(0, 0)));
  CHECK(std::isfinite(bound(hopper_fp8_wgmma)(1, 0)));
  CHECK(std::isinf(bound(hopper_fp8_wgmma)(1, 1)));
}

TEST_CASE("fp8 bound: a part of an operand is bounded as the operand it is a part of; beyond it is refused") {
  const FormatId f = FormatId::e4m3;
  Coded coded{Codes::Constant(3, 256, 0x3B), Scales::Ones(3, 2), tile_1x128, f};
  coded.s(2, 1) = 4;
  const Fp8Operand x = coded;
  const Fp8Part all = whole(x, false);
  const auto bound = [&](const Fp8Part& part) { return fp8_error_bound(part, part, {hopper_fp8_wgmma}); };
  CHECK(bound({&x, false, 2, 1, 128, 128})(0, 0) > 0);
  CHECK(bound({&x, false, 1, 2, 0, 256}) == bound(all).bottomRightCorner(2, 2));
  for (const Fp8Part& beyond : {Fp8Part{&x, false, 2, 2, 0, 256}, Fp8Part{&x, false, 0, 3, 1, 256},
                                Fp8Part{&x, false, -1, 2, 0, 256}, Fp8Part{&x, true, 0, 3, 0, 256}})
    CHECK_THROWS_WITH_AS(bound(beyond), doctest::Contains("the left operand is asked for"), std::invalid_argument);
}
