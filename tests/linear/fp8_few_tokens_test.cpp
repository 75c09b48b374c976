// SPDX-License-Identifier: MIT
#include "tests/linear/fp8_cases.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("fp8 gemm: few tokens, one promotion of W's sum or several, whole panels or not: the twin's bits") {
  const FormatId f = FormatId::e4m3;
  for (Index T = 1; T <= 17; ++T)
    for (const Index width : {32, 39})
      for (const Index interval : {4, 128}) {
        CAPTURE(T);
        const Fp8Arithmetic how{fp32_sums}, of_w{fp32_sums.promoted_every(interval)};
        const Coded x = coded(f, T, width, tile_1x128, Data::finite, 1),
                    W = coded(f, 130, width, block_128x128, Data::normal, 2);
        Scales y(T, 130), dx(T, width), dW = Scales::Constant(130, width, 3);
        fp8_fprop(y, x, W, how);
        CHECK(different_fp32(y, twin_product(x, false, W, false, how)) == "");
        const Coded dy = coded(f, T, 130, tile_1x128, Data::spread, 3),
                    dy_T = coded(f, T, 130, tile_128x1, Data::finite, 4);
        fp8_dgrad(dx, dy, W, how);
        CHECK(different_fp32(dx, twin_product(dy, false, W, true, how)) == "");
        const Coded x_T = coded(f, T, width, tile_128x1, Data::finite, 5);
        const Scales sum = dW + twin_product(dy_T, true, x_T, true, of_w);
        fp8_wgrad(dW, dy_T, x_T, of_w);
        CHECK(different_fp32(dW, sum) == "");
      }
}

TEST_CASE("fp8 gemm: any 256 values: another layout of bits, and none") {
  std::array<float, 256> eighths, e3m4;
  for (int code = 0; code < 256; ++code) {
    eighths[static_cast<std::size_t>(code)] = static_cast<float>(code - 100) / 8;
    const int exponent = code % 128 / 16, fraction = code % 16;
    const float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -6)
                                          : std::ldexp(static_cast<float>(16 + fraction), exponent - 7);
    e3m4[static_cast<std::size_t>(code)] = code < 128 ? magnitude : -magnitude;
  }
  Random random(1);
  Codes a(5, 60), b(18, 60);
  for (Codes* q : {&a, &b})
    for (std::uint8_t& code : q->reshaped()) code = static_cast<std::uint8_t>(random.below(256));
  const Scales s_a = Scales::Constant(5, 1, 0.5f), s_b = Scales::Constant(1, 1, 4);
  for (const auto* values : {&eighths, &e3m4}) {
    Scales y(5, 18), exact(5, 18);
    for (Index i = 0; i < 5; ++i)
      for (Index j = 0; j < 18; ++j) {
        exact(i, j) = 0;
        for (Index k = 0; k < 60; ++k) exact(i, j) += 2 * values->at(a(i, k)) * values->at(b(j, k));  // few bits
      }
    fp8_fprop(y, {a, s_a, tile_1x128, values->data()}, {b, s_b, block_128x128, values->data()});
    CHECK(different_fp32(y, exact) == "");
  }
}
