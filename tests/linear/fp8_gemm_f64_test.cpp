// SPDX-License-Identifier: MIT
#include "tests/linear/fp8_cases.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("fp8 gemm: the double library computes in FP32 too, with the same bits") {
  const FormatId f = FormatId::e4m3;
  const Coded a = coded(f, 7, 300, tile_1x128, Data::any, 1), b = coded(f, 19, 300, block_128x128, Data::finite, 2);
  for (const NamedAccumulation& preset : accumulations())
    for (const ScaleOrder order : {ScaleOrder::together, ScaleOrder::in_turn}) {
      Scales y(7, 19);
      fp8_fprop(y, a, b, {preset.accumulation, order});
      CHECK(different_fp32(y, twin_product(a, false, b, false, {preset.accumulation, order})) == "");
    }
}
