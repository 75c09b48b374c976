// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <numeric>
#include <set>

#include "cuda/bench/gemm_cases.hpp"
#include "cuda/bench/memory_cases.hpp"
#include "reference/formats/bf16.hpp"
#include "reference/formats/quantise.hpp"

using namespace dsv3;
using namespace dsv3::cuda;
using namespace dsv3::cuda::bench;
namespace bench = dsv3::cuda::bench;

namespace {

constexpr Rung rungs[] = {Rung::naive, Rung::tiles, Rung::wgmma, Rung::ring, Rung::persistent};

bool says(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

/// A result with one value replaced.
template <class T>
Buffer<T> with(const Buffer<T>& buffer, std::size_t at, T value) {
  auto host = buffer.to_host();
  host[at] = value;
  return Buffer<T>(host);
}

}  // namespace

TEST_CASE("bench: every rung's result is found right, and wrong for another case's operands") {
  GemmCase c({64, 128, 256}, 1), other({64, 128, 256}, 2);
  for (const Rung rung : rungs) {
    c.forget();
    CHECK(says(c.wrong({sums_of(rung)}), "8192 of 8192 values are NaN or were not written"));
    c.call(rung);
    CHECK(c.wrong({sums_of(rung)}) == "");
    CHECK(c.wrong(of_a_peer) == "");
    other.out = Buffer<std::uint16_t>(c.out.to_host());
    CHECK(says(other.wrong({sums_of(rung)}), "wrong: element (0, 0) is"));
    CHECK(says(other.wrong(of_a_peer), "wrong: the error's rms"));
    CHECK(says(c.wrong(of_an_unscaled_peer), "wrong: the error's rms"));
  }
}

TEST_CASE("bench: one wrong element in a corner, and one missing anywhere, are found") {
  GemmCase c({64, 128, 128}, 3);
  c.call(Rung::naive);
  const auto last = c.out.size() - 1;
  const float value = float_from_bf16(c.out.to_host()[last]);
  c.out = with(c.out, last, bf16_from_float(value * 1.05f));
  CHECK(says(c.wrong({fp32_sums}), "wrong: element (63, 127)"));
  c.call(Rung::naive);
  c.out = with(c.out, 77, std::uint16_t{0xFFFF});
  CHECK(says(c.wrong({fp32_sums}), "1 of 8192 values"));
}

TEST_CASE("bench: 128 products left out of 4096 are found, by the rms also where there is no bound") {
  GemmCase c({32, 128, 4096}, 10);
  c.call(Rung::naive);
  CHECK(c.wrong({fp32_sums}) == "");
  std::vector<int> all(32), cols(128);
  std::iota(all.begin(), all.end(), 0), std::iota(cols.begin(), cols.end(), 0);
  const Quantised a = c.a.some(0, all, 0, 4096 - 128, true), b = c.b.some(0, cols, 0, 4096 - 128, true);
  Scales shorter(32, 128);
  fp8_fprop(shorter, operand_of(a), operand_of(b));
  const Product product{&c.a, &c.b, 0, 0, 0, 32, 128, 0, 4096};
  const Result result{.at = [&](int i, int j) -> double { return shorter(i, j); }};
  CHECK(says(what_is_wrong(product, result, {}, 1), "wrong: "));
  CHECK(says(what_is_wrong(product, result, of_a_peer, 1), "wrong: the error's rms is 0.1"));
}

TEST_CASE("bench: grouped, masked and Wgrad results are found right, and rows that must not be written watched") {
  GroupedCase grouped(2, {128, 128, 512}, 4);
  grouped.call();
  CHECK(grouped.wrong({}) == "");
  const auto first_of_second = grouped.out.size() / 2;
  grouped.out = with(grouped.out, first_of_second, bf16_from_float(1e9f));
  CHECK(says(grouped.wrong({}), "wrong: element (0, 0)"));

  MaskedCase masked({5, 0, 64}, {64, 128, 256}, 5);
  masked.call();
  CHECK(masked.wrong({}) == "");
  masked.out = with(masked.out, 5 * 128, std::uint16_t{0});
  CHECK(says(masked.wrong({}), "a row of expert 0 is written, of which only 5 are used"));
  CHECK(masked.wrong(of_a_peer) == "");

  WgradCase wgrad({128, 128, 256}, 6);
  CHECK(says(wgrad.wrong({}), "wrong: element (0, 0)"));
  wgrad.call();
  CHECK(wgrad.wrong({}) == "");
  wgrad.call();  // adds once more
  CHECK(says(wgrad.wrong({}), "wrong: element (0, 0)"));
  wgrad.out.fill(0);  // adds to something else
  wgrad.call();
  CHECK(says(wgrad.wrong({}), "wrong: element (0, 0)"));
  const float* const place = wgrad.out.data();
  wgrad.forget();
  CHECK(wgrad.out.data() == place);  // a peer has it
  wgrad.call();
  CHECK(wgrad.wrong({}) == "");
}

TEST_CASE("bench: quantised matrices are compared bit for bit at their first and last rows") {
  for (const QuantiseTo to : {QuantiseTo::tiles, QuantiseTo::tiles_transposed, QuantiseTo::blocks}) {
    QuantiseCase c(to, 144, 272, 7);
    CHECK(says(c.wrong(), "values are NaN or were not written"));
    c.call();
    CHECK(c.wrong() == "");
  }
  CHECK(QuantiseCase(QuantiseTo::tiles, 256, 512, 8).bytes() == 256 * 512 * 3 + 256 * 4 * 4);
  CHECK_THROWS_WITH(QuantisedResult(QuantiseTo::tiles, 8, 16),
                    "QuantisedResult: it is [8, 16]; it needs multiples of 16");
}

TEST_CASE("bench: SwiGLU and RMSNorm with quantisation are found right") {
  SwigluCase swiglu(144, 128, 9);
  CHECK(says(swiglu.wrong(), "values are NaN or were not written"));
  swiglu.call();
  CHECK(swiglu.wrong() == "");
  CHECK(swiglu.bytes() == 144 * 128 * 5 + 144 * 8);
  RmsNormCase norm(144, 256, 10);
  CHECK(says(norm.wrong(), "values are NaN or were not written"));
  norm.call();
  CHECK(norm.wrong() == "");
  CHECK(norm.bytes() == 144 * 256 * 7 + 144 * 2 * 4 + 144 * 4 + 256 * 4);
}

TEST_CASE("bench: of codes that may be the next one, neither the second next nor many pass") {
  const std::vector<std::uint16_t> ones(16 * 16, bf16_from_float(1));
  const Buffer<std::uint16_t> x(ones);
  QuantisedResult result(QuantiseTo::tiles, 16, 16);
  quantise_1x128({x.data(), 16, 16, 16}, result.out(), cuda::Scale::fp32);
  Quantised want = quantise(FloatMatrix::Constant(16, 16, 1.0f));
  CHECK(result.what_is_wrong(0, want) == "");
  want.q(3, 5) -= 1;
  CHECK(says(result.what_is_wrong(0, want), "wrong: code (3, 5) is 126; it must be 125"));
  CHECK(result.what_is_wrong(0, want, 0.01) == "");
  CHECK(says(result.what_is_wrong(0, want, 0.001), "1 of 256 codes differ"));
  want.q(3, 5) -= 1;
  CHECK(says(result.what_is_wrong(0, want, 0.01), "wrong: code (3, 5)"));
  want.q(3, 5) += 2;
  want.s(7, 0) *= 1.001f;
  CHECK(says(result.what_is_wrong(0, want), "wrong: scale (7, 0)"));
  CHECK(result.what_is_wrong(0, want, 0.01) == "");
  want.s(7, 0) *= 1.01f;
  CHECK(says(result.what_is_wrong(0, want, 0.01), "wrong: scale (7, 0)"));
}

TEST_CASE("bench: sampled rows are the first, the last and one of every part") {
  CHECK(some_of(0, 1).empty());
  CHECK(some_of(1, 1) == std::vector<int>{0});
  CHECK(some_of(3, 1) == std::vector<int>{0, 1, 2});
  for (const int count : {64, 100, 4096, 32768}) {
    const auto some = some_of(count, 7);
    CHECK(some.front() == 0);
    CHECK(some.back() == count - 1);
    CHECK(some.size() <= 24);
    for (int part = 0; part < 22; ++part)
      CHECK(std::any_of(some.begin(), some.end(), [&](int i) {
        return i >= std::int64_t{count} * part / 22 && i < std::int64_t{count} * (part + 1) / 22;
      }));
    CHECK(std::set<int>(some.begin(), some.end()).size() == some.size());
    CHECK(some != some_of(count, 8));
  }
}

TEST_CASE("bench: operands are drawn from many values, none NaN, hardly a zero") {
  const auto codes = random_codes(100'000, 1);
  CHECK(what_is_unwritten(codes) == "");
  CHECK(std::count(codes.begin(), codes.end(), 0) < 1000);
  CHECK(std::set<std::uint8_t>(codes.begin(), codes.end()).size() > 150);
  CHECK(codes != random_codes(100'000, 2));
  CHECK(random_scales(1000, 1) != random_scales(1000, 2));
}

TEST_CASE("bench: the bytes and operations of a product") {
  CHECK(bench::flops(Mnk{2, 3, 5}) == 60);
  CHECK(bench::bytes(Mnk{64, 128, 256}) == 64 * 256 + 128 * 256 + 2 * 64 * 128 + 4 * 64 * 2 + 4 * 1 * 2);
}
