// SPDX-License-Identifier: MIT
#include "reference/linear/tensor_core.hpp"

#include "tests/linear/fp8_cases.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// `first`, then `rest` to the 32nd.
std::vector<float> elements(float first, float rest) {
  std::vector<float> all(32, rest);
  all[0] = first;
  return all;
}

float step(const std::vector<float>& a, const std::vector<float>& b, float c,
           const Accumulation& how = hopper_fp8_wgmma) {
  return tensor_core_step(how, c, {a}, {b});
}

/// The same products as a GEMM of E4M3 codes, from c = 0.
float gemm(const std::vector<float>& a, const std::vector<float>& b, const Accumulation& how = hopper_fp8_wgmma) {
  const FormatId f = FormatId::e4m3;
  const auto codes = [&](const std::vector<float>& values) {
    Coded m{Codes(1, std::ssize(values)), Scales::Ones(1, 1), {1, 1 << 19}, f};
    for (std::size_t k = 0; k < values.size(); ++k) {
      m.q(0, static_cast<Index>(k)) = nearest_code(f, values[k]);
      REQUIRE(values_of(f)[m.q(0, static_cast<Index>(k))] == values[k]);
    }
    return m;
  };
  Scales y(1, 1);
  fp8_fprop(y, codes(a), codes(b), {how});
  return y(0, 0);
}

std::vector<float> repeated(float value, std::size_t count) { return std::vector<float>(count, value); }

const float inf = std::numeric_limits<float>::infinity(), not_a_number = std::numeric_limits<float>::quiet_NaN();

}  // namespace

TEST_CASE("tensor core: one WGMMA step of 32 on Hopper") {
  struct Vector {
    float a_0, b_0, a, b, exact_in_fp32, model;
  };
  for (const auto& [a_0, b_0, a, b, exact, model] : {
           Vector{1, 1, 0x1p-7f, 0x1p-7f, 1.00189208984375f, 1},
           {1, 1, 0x1p-6f, 0x1p-7f, 1.0037841796875f, 1.0037841796875f},
           {1, 1, -0x1p-7f, 0x1p-7f, 0.99810791015625f, 1},                  // toward zero, not toward -infinity
           {1.5, 1.5, 0x1p-6f, 0x1p-7f, 2.2537841796875f, 2.253662109375f},  // 2.25 is not normalised, the output is
           {2, 1, 0x1p-6f, 0x1p-7f, 2.0037841796875f, 2},
           {448, 448, 16, 0.75, 201076, 200944},
           {448, 448, 16, 1, 201200, 201200},
           {1, 1, 1, 1, 32, 32},
       }) {
    CAPTURE(a_0);
    CAPTURE(b);
    CHECK(step(elements(a_0, a), elements(b_0, b), 0) == model);
    CHECK(gemm(elements(a_0, a), elements(b_0, b)) == model);
    CHECK(gemm(elements(a_0, a), elements(b_0, b), exact_sums) == exact);
  }
}

TEST_CASE("tensor core: the register is one more term of the aligned sum") {
  CHECK(step({0.5f}, {1}, 4096) == 4096.5f);
  CHECK(step({0.5f}, {0.5f}, 4096) == 4096);
  CHECK(step(repeated(0.5f, 32), repeated(0.5f, 32), 4096) == 4096);  // not 4104: each of the 32 is cut
  CHECK(step({1.75f}, {1}, 16383) == 16384);
  CHECK(step({1}, {1}, 0x1p-20f) == 1);  // the register is cut as well
  CHECK(step({0}, {448}, 0.375f) == 0.375f);
  CHECK(step({}, {}, -3) == -3);
}

TEST_CASE("tensor core: a chain of ones stays at 2^14 for ever; promotion keeps it exact") {
  for (const std::size_t K : {16384, 16416, 65536}) {
    const std::vector<float> ones = repeated(1, K);
    CHECK(gemm(ones, ones, hopper_fp8_wgmma.promoted_every(0)) == 16384);
    CHECK(gemm(ones, ones, ada_fp8.promoted_every(0)) == 16384);
    CHECK(gemm(ones, ones, blackwell_fp8.promoted_every(0)) == static_cast<float>(K));
    CHECK(gemm(ones, ones) == static_cast<float>(K));
  }
  CHECK(gemm(repeated(1, 16352), repeated(1, 16352), hopper_fp8_wgmma.promoted_every(0)) == 16352);
}

TEST_CASE("tensor core: steps of 32 x 1/64 stall at 256 after 512 of them") {
  for (const auto& [steps, sum] : {std::pair<std::size_t, float>{511, 255.5f}, {512, 256}, {513, 256}, {1000, 256}})
    CHECK(gemm(repeated(0x1p-6f, 32 * steps), repeated(1, 32 * steps), hopper_fp8_wgmma.promoted_every(0)) == sum);
}

TEST_CASE("tensor core: Ada adds two halves of an instruction one after the other") {
  std::vector<float> a = repeated(0x1p-6f, 32), b = a;
  a[31] = b[31] = 1;  // cuts the 31 others on Hopper, only 15 and their sum on Ada
  CHECK(gemm(a, b) == 1 + 31 * 0x1p-12f);
  a = repeated(0x1p-7f, 32), b = repeated(0x1p-7f, 32);
  a[31] = b[31] = 1;
  CHECK(gemm(a, b) == 1);
  CHECK(gemm(a, b, ada_fp8) == 1 + 8 * 0x1p-13f);  // 16 2^-14 = 2^-10 is in the register by then
}

TEST_CASE("tensor core: subnormal factors keep the smallest exponent") {
  // 1/8 of 2^-6 times 1: exponent -6, significand 1/8, so it is not cut beside 2^-3 (E = -3: units of 2^-16)
  CHECK(gemm(elements(0x1p-3f, 0x1p-9f), elements(1, 0x1p-6f)) == 0x1p-3f + 31 * 0x1p-15f);
  // alone: E = -12, the smallest units are 2^-25, below every product of two subnormals' 2^-18
  CHECK(gemm(elements(0x1p-9f, 0x1p-9f), elements(0x1p-9f, 0x1p-9f)) == 32 * 0x1p-18f);
  // 7 2^-9 has the exponent -6, so the unit is 2^-10; normalised, 1.75 2^-7, it would leave room for the 2^-11
  const Accumulation narrow{.fraction_bits = 4, .output_fraction_bits = 8};
  CHECK(step({7 * 0x1p-9f, 0x1p-9f}, {1, 0.25f}, 0, narrow) == 7 * 0x1p-9f);
}

TEST_CASE("tensor core: zeros drop out; nothing, zeros and what cancels is +0") {
  CHECK(step(elements(0, 0x1p-9f), elements(448, 0x1p-9f), 0) == 31 * 0x1p-18f);
  for (const Accumulation& how : {hopper_fp8_wgmma, ada_fp8, blackwell_fp8, fp32_sums, exact_sums})
    for (const auto& [a, b] :
         {std::pair<std::vector<float>, std::vector<float>>{{}, {}}, {{-0.0f, 0}, {1, -1}}, {{3, -3}, {5, 5}}}) {
      const float sum = sum_of_products(how, {a}, {b});
      CHECK(sum == 0);
      CHECK(!std::signbit(sum));
    }
}

TEST_CASE("tensor core: NaN, infinities of both signs and 0 times infinity are NaN; infinities of one sign stay") {
  for (const Accumulation& how : {hopper_fp8_wgmma, ada_fp8, blackwell_fp8, fp32_sums, exact_sums}) {
    const auto sum = [&](const std::vector<float>& a, const std::vector<float>& b) {
      return sum_of_products(how, {a, -14}, {b, -14});
    };
    CHECK(std::isnan(sum({1, not_a_number}, {1, 0})));
    CHECK(std::isnan(sum({inf, 1}, {0, 1})));
    CHECK(std::isnan(sum({inf, inf}, {1, -1})));
    CHECK(sum({inf, 1}, {2, -57344}) == inf);
    CHECK(sum({inf, -inf}, {-1, 1}) == -inf);
    std::vector<float> a(70, 1), b(70, 1);
    a[3] = inf;
    CHECK(sum(a, b) == inf);
    b[69] = -inf;  // in a later step
    CHECK(std::isnan(sum(a, b)));
  }
}

TEST_CASE("tensor core: a sum of two doubles is rounded to FP32 once") {
  const double tie = 1 + 0x1p-24;  // between 1 and 1 + 2^-23
  CHECK(round_sum_to_float(tie, 0) == 1);
  CHECK(round_sum_to_float(tie, 0x1p-80) == 1 + 0x1p-23f);
  CHECK(round_sum_to_float(tie, -0x1p-80) == 1);
  CHECK(round_sum_to_float(-tie, -0x1p-80) == -1 - 0x1p-23f);
  CHECK(round_sum_to_float(1 + 3 * 0x1p-24, -0x1p-80) == 1 + 0x1p-23f);
  CHECK(round_sum_to_float(0x1p-80, tie) == 1 + 0x1p-23f);
  CHECK(round_sum_to_float(1, -1) == 0);
}
