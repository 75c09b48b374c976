// SPDX-License-Identifier: MIT
#include <cstdlib>

#include "tests/cuda/linear/fp8_gemm_cases.hpp"

using namespace dsv3;
using namespace dsv3::test;
using cuda::Rung;

namespace {

/// Nothing is a multiple of a tile's side, of 128 or of 16 in all of them.
constexpr GemmShape shapes[] = {{1, 2, 1},     {17, 130, 130},  {130, 64, 384}, {64, 192, 129},
                                {33, 258, 16}, {128, 128, 128}, {3, 66, 527}};

constexpr Rung all_rungs[] = {Rung::naive, Rung::tiles, Rung::wgmma, Rung::ring, Rung::persistent};
constexpr Rung tensor_core_rungs[] = {Rung::wgmma, Rung::ring, Rung::persistent};

/// What is too much for a played device.
std::vector<GemmShape> shapes_here() {
  std::vector<GemmShape> all(std::begin(shapes), std::end(shapes));
  if (!cuda::device().is_played && std::getenv("DSV3_SMALL") == nullptr)
    all.insert(all.end(), {{4001, 130, 264}, {257, 2112, 1544}});
  return all;
}

/// On the played device the model's bits; on a real one the bound that follows from the model.
void check_tensor_core(Rung rung, const GemmShape& shape, Data data, std::uint64_t seed) {
  CAPTURE(shape.M);
  CAPTURE(shape.N);
  CAPTURE(shape.K);
  CAPTURE(static_cast<int>(data));
  CAPTURE(static_cast<int>(rung));
  const GemmCase c(shape, data, seed);
  const auto out = c.run(rung);
  if (cuda::device().is_played) {
    CHECK(not_the_bits_of(c, out, hopper_fp8_wgmma) == "");
    return;
  }
  double share = 0;
  CHECK(outside_bound(c, out, hopper_fp8_wgmma, share) == "");
  MESSAGE(shape.M << " x " << shape.N << " x " << shape.K << ": bits of the model in " << 100 * share
                  << " % of the elements");
}

}  // namespace

TEST_CASE("naive and tiles have the bits of FP32 sums in ascending order, promoted every 128") {
  for (const Rung rung : {Rung::naive, Rung::tiles})
    for (std::uint64_t seed = 0; const GemmShape& shape : shapes_here())
      for (const Data data : {Data::any, Data::finite, Data::cancelling}) {
        CAPTURE(shape.M);
        CAPTURE(shape.N);
        CAPTURE(shape.K);
        CAPTURE(static_cast<int>(data));
        CAPTURE(static_cast<int>(rung));
        const GemmCase c(shape, data, ++seed);
        CHECK(not_the_bits_of(c, c.run(rung), fp32_sums) == "");
      }
}

TEST_CASE("wgmma, ring and persistent: odd shapes on several kinds of data") {
  for (const Rung rung : tensor_core_rungs) {
    for (std::uint64_t seed = 100; const GemmShape& shape : shapes_here())
      for (const Data data : {Data::normal, Data::any}) check_tensor_core(rung, shape, data, ++seed);
    for (const Data data : all_data) check_tensor_core(rung, {70, 140, 300}, data, 200);
  }
}

TEST_CASE("wgmma, ring and persistent: a depth that goes round every ring of stages") {
  for (const Rung rung : tensor_core_rungs)
    for (std::uint64_t seed = 300; seed < 302; ++seed) check_tensor_core(rung, {20, 40, 1700}, Data::normal, seed);
}

TEST_CASE("the test's own ground: FP32 sums and the tensor core's differ on these shapes, and inside the bound") {
  const GemmCase c({17, 130, 130}, Data::normal, 7);
  const auto out = c.run(Rung::naive);
  CHECK(not_the_bits_of(c, out, hopper_fp8_wgmma) != "");
  double share = 1;
  CHECK(outside_bound(c, out, fp32_sums, share) == "");
  CHECK(share == 1);
}

TEST_CASE("twice the same bits") {
  const GemmCase c({130, 130, 272}, Data::normal, 9);
  for (const Rung rung : all_rungs) CHECK(c.run(rung) == c.run(rung));
}

TEST_CASE("nothing to sum over gives zeros; no rows or columns, nothing at all") {
  for (const Rung rung : all_rungs) {
    const GemmCase zeros({5, 6, 0}, Data::finite, 1);
    CHECK(first_wrong(zeros.run(rung), zeros, [](Index, Index, std::uint16_t found) { return found == 0; }) == "");
    for (const GemmShape& shape : {GemmShape{0, 6, 40}, GemmShape{5, 0, 40}}) {
      const GemmCase none(shape, Data::finite, 1);
      CHECK(first_wrong(none.run(rung), none, [](Index, Index, std::uint16_t) { return false; }) == "");
    }
  }
}

TEST_CASE("what the contract forbids throws and writes nothing") {
  const GemmCase c({4, 4, 32}, Data::finite, 1);
  cuda::Buffer<std::uint16_t> out(64);
  const auto throws_with = [&](auto change) {
    cuda::Fp8Gemm gemm = c.gemm(out.data());
    change(gemm);
    CHECK_THROWS_AS(cuda::fp8_gemm(gemm, Rung::naive), std::invalid_argument);
  };
  throws_with([](cuda::Fp8Gemm& g) { g.M = -1; });
  throws_with([](cuda::Fp8Gemm& g) { g.N = -2; });
  throws_with([](cuda::Fp8Gemm& g) { g.K = -1; });
  throws_with([](cuda::Fp8Gemm& g) { g.N = 3; });
  throws_with([](cuda::Fp8Gemm& g) { g.out_stride = 11; });
  throws_with([](cuda::Fp8Gemm& g) { g.out_stride = 2; });
  throws_with([](cuda::Fp8Gemm& g) { g.out += 1; });
  throws_with([](cuda::Fp8Gemm& g) { g.a.stride = 40; });
  throws_with([](cuda::Fp8Gemm& g) { g.b.stride = 16; });
  throws_with([](cuda::Fp8Gemm& g) { g.a.codes += 8; });
  throws_with([](cuda::Fp8Gemm& g) { g.b.codes += 1; });
  throws_with([](cuda::Fp8Gemm& g) { g.a_scales.stride = 3; });
  throws_with([](cuda::Fp8Gemm& g) { g.b_scales.stride = 0; });
  for (const std::uint16_t value : out.to_host()) CHECK(value == unwritten);
}
