// SPDX-License-Identifier: MIT
#include "cuda/formats/quantise.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include "cuda/formats/quantise.cuh"
#include "tests/cuda/formats/on_device.hpp"

using namespace dsv3;
using namespace dsv3::test;
using cuda::Buffer, cuda::Scale;

namespace {

constexpr Scale kinds[] = {Scale::fp32, Scale::ue8m0_ceil};

int groups_of(int n) { return (n + 127) / 128; }

std::string tiles_differ(const Bf16Matrix& x, Scale kind) {
  const Buffer<std::uint16_t> data(x.codes);
  Fp8Result got(x.rows, x.cols, groups_of(x.cols), x.rows);
  cuda::quantise_1x128(x.on(data), got.out(), kind);
  const Quantised expected = quantise(x.values(), {.scale = reference_of(kind)});
  return different(got, expected.q, expected.s.transpose());
}

std::string columns_differ(const Bf16Matrix& x, Scale kind) {
  const Buffer<std::uint16_t> data(x.codes);
  Fp8Result got(x.cols, x.rows, groups_of(x.rows), x.cols);
  cuda::quantise_128x1_transposed(x.on(data), got.out(), kind);
  const Quantised expected = quantise(x.values(), {.groups = tile_128x1, .scale = reference_of(kind)});
  return different(got, expected.q.transpose(), expected.s);
}

std::string blocks_differ(const Bf16Matrix& x, Scale kind) {
  const Buffer<std::uint16_t> data(x.codes);
  const int n = groups_of(x.rows), k = groups_of(x.cols);
  Fp8Result alone(x.rows, x.cols, n, k), both(x.rows, x.cols, n, k), turned(x.cols, x.rows, k, n);
  const cuda::Fp8Output transposed = turned.out();
  cuda::quantise_128x128(x.on(data), alone.out(), nullptr, kind);
  cuda::quantise_128x128(x.on(data), both.out(), &transposed, kind);
  const Quantised expected = quantise(x.values(), {.groups = block_128x128, .scale = reference_of(kind)});
  return different(alone, expected.q, expected.s) + different(both, expected.q, expected.s) +
         different(turned, expected.q.transpose(), expected.s.transpose());
}

void check_all(const Bf16Matrix& x) {
  for (const Scale kind : kinds) {
    CHECK(tiles_differ(x, kind) == "");
    CHECK(columns_differ(x, kind) == "");
    CHECK(blocks_differ(x, kind) == "");
  }
}

/// Codes that break a group or are at an edge, each in one corner of the matrix's blocks of 128x128.
Bf16Matrix with_special(int code, int corner) {
  constexpr std::pair<int, int> corners[] = {{0, 0}, {15, 127}, {127, 128}, {129, 263}};
  Bf16Matrix x = random_bf16(130, 264, 7, 1);
  const auto [row, col] = corners[corner];
  x.at(row, col) = static_cast<std::uint16_t>(code);
  return x;
}

}  // namespace

TEST_CASE("quantise: codes and scales have the reference's bits, and nothing else is written, for ragged shapes") {
  for (const Sizes& shape :
       {Sizes{1, 1}, {1, 128}, {3, 7}, {17, 129}, {16, 512}, {128, 128}, {130, 264}, {33, 1025}, {257, 40}, {141, 136}})
    for (const std::uint64_t seed : {1, 2}) {
      CAPTURE(shape.rows);
      CAPTURE(shape.cols);
      check_all(random_bf16(shape.rows, shape.cols, seed));
    }
}

TEST_CASE("quantise: nothing of nothing") {
  check_all(Bf16Matrix(0, 128));
  check_all(Bf16Matrix(5, 0));
}

TEST_CASE("quantise: all bits of BF16, each in a group of its equals") {
  Bf16Matrix x(512, 128);  // every code 0x0000 .. 0xFFFF, sorted by magnitude
  for (int i = 0; i < 512; ++i)
    for (int j = 0; j < 128; ++j) x.at(i, j) = static_cast<std::uint16_t>(j % 2 << 15 | (i * 64 + j / 2));
  check_all(x);
}

TEST_CASE(
    "quantise: a NaN or an infinity makes its group NaN as a whole and no other; subnormals and zeros are as any") {
  int corner = 0;
  for (const int code : {0x7F80, 0xFF80, 0x7FC0, 0xFFFF, 0x7F81, 0x0001, 0x8001, 0x8000, 0x7F7F}) {
    CAPTURE(code);
    check_all(with_special(code, corner++ % 4));
  }
  Bf16Matrix zeros(20, 300);
  for (auto& code : zeros.codes) code = 0;
  for (int i = 0; i < 20; ++i) zeros.at(i, 3 * i) = 0x8000;
  check_all(zeros);
}

TEST_CASE("quantise: largest magnitudes at 1e-4 and at powers of two times 448, where the scale's formula turns") {
  Bf16Matrix x(64, 256);
  for (int i = 0; i < 64; ++i)
    for (int j = 0; j < 256; ++j) {
      const float edge = i % 2 == 0 ? std::ldexp(448.0f, i - 32) : 1e-4f;
      x.at(i, j) = static_cast<std::uint16_t>(bf16_from_float(edge) + (j == 0 ? i % 3 - 1 : -j / 4));
    }
  check_all(x);
}

TEST_CASE("quantise: the same bits again, in whatever order threads run") {
  const Bf16Matrix x = random_bf16(130, 200, 11);
  const Buffer<std::uint16_t> data(x.codes);
  std::vector<std::uint8_t> first;
  for (int run = 0; run < 3; ++run) {
    Fp8Result got(200, 130, 2, 200);
    cuda::quantise_128x1_transposed(x.on(data), got.out(), Scale::fp32);
    if (run == 0) first = got.codes.to_host();
    CHECK(got.codes.to_host() == first);
  }
}

TEST_CASE("quantise: the scale of every magnitude of BF16 is the reference's, and of FP32 ones") {
  const auto agrees = [](float amax) {
    bool same = true;
    for (const Scale kind : kinds) {
      const float expected = group_scale(amax, format(FormatId::e4m3), Dialect::deepseek_v3, reference_of(kind)).s;
      same = same && std::bit_cast<std::uint32_t>(cuda::group_scale(std::bit_cast<std::uint32_t>(amax), kind)) ==
                         std::bit_cast<std::uint32_t>(expected);
    }
    return same;
  };
  bool all = true;
  for (std::uint32_t code = 0; code <= 0x7F80; ++code) all = all && agrees(std::bit_cast<float>(code << 16));
  Random random(5);
  for (int i = 0; i < 200'000; ++i)
    all = all && agrees(std::bit_cast<float>(static_cast<std::uint32_t>(random.bits()) % 0x7F80'0001u));
  CHECK(all);
}

TEST_CASE("quantise: two products and two fused ones are the quotient, for all significands of x and many of s") {
  Random random(6);
  int wrong = 0;
  for (int i = 0; i < 20'000; ++i) {
    const float s = std::ldexp(1.0f + static_cast<float>(random.below(1 << 23)) * 0x1p-23f,
                               static_cast<int>(random.below(140)) - 22);
    const cuda::Divisor by(s);
    for (int significand = 128; significand < 256; ++significand) {
      const int exponent = static_cast<int>(random.below(60)) - 50 + std::ilogb(s);  // up to 2^17 times the scale
      const float x = std::ldexp(static_cast<float>(random.below(2) == 0 ? significand : -significand), exponent);
      const float x_bf16 = float_from_bf16(bf16_from_float(x));
      const float expected = x_bf16 / s;
      const bool underflows = expected != 0 && std::abs(expected) < 0x1p-100f;
      if (!underflows && std::isfinite(x_bf16))
        wrong += std::bit_cast<std::uint32_t>(cuda::quotient(x_bf16, by)) != std::bit_cast<std::uint32_t>(expected);
    }
  }
  CHECK(wrong == 0);
  CHECK(std::signbit(cuda::quotient(-0.0f, cuda::Divisor(0.3f))));
}

TEST_CASE("quantise: every group of every shape belongs to one team, every patch to one lane") {
  Random random(7);
  for (int trial = 0; trial < 2000; ++trial) {
    const int rows = 1 + static_cast<int>(random.below(70)), cols = 1 + static_cast<int>(random.below(1200));
    const int groups = groups_of(cols);
    std::vector<int> times(static_cast<std::size_t>(rows * groups), 0);
    for (int block = 0; block < cuda::row_tiles::num_blocks(rows, groups); ++block)
      for (int team = 0; team < cuda::row_tiles::teams; ++team)
        for (int round = 0; round < cuda::row_tiles::rounds; ++round) {
          const auto [row, k] = cuda::row_tiles::group_of(block, team, round, groups);
          if (row < rows && k < groups) ++times[static_cast<std::size_t>(row * groups + k)];
        }
    if (std::count(times.begin(), times.end(), 1) != rows * groups) FAIL("a group not once");
    std::vector<int> patches(static_cast<std::size_t>((rows + 15) / 16 * ((cols + 7) / 8)), 0);
    for (int block = 0; block < cuda::patches::num_blocks(rows, cols); ++block)
      for (int thread = 0; thread < cuda::patches::threads; ++thread) {
        const auto [row, col] = cuda::patches::place_of(block, thread, cols);
        if (row % 16 != 0 || col % 8 != 0) FAIL("a patch out of its grid");
        if (row < rows && col < cols) ++patches[static_cast<std::size_t>(row / 16 * ((cols + 7) / 8) + col / 8)];
      }
    if (std::count(patches.begin(), patches.end(), 1) != std::ssize(patches)) FAIL("a patch not once");
  }
}

TEST_CASE("quantise: bad arguments are refused before anything runs") {
  const Bf16Matrix x = random_bf16(4, 24, 1);
  const Buffer<std::uint16_t> data(x.codes);
  Fp8Result got(4, 24, 1, 4);
  const auto refuses = [&](const std::function<void(cuda::Bf16Rows&, cuda::Fp8Output&)>& spoil) {
    cuda::Bf16Rows rows = x.on(data);
    cuda::Fp8Output out = got.out();
    spoil(rows, out);
    CHECK_THROWS_AS(cuda::quantise_1x128(rows, out, Scale::fp32), std::invalid_argument);
  };
  refuses([](auto& in, auto&) { in.rows = -1; });
  refuses([](auto& in, auto&) { in.stride = 20; });
  refuses([](auto& in, auto&) { in.stride = 16; });
  refuses([](auto& in, auto&) { ++in.data; });
  refuses([](auto&, auto& out) { out.stride = 24; });
  refuses([](auto&, auto& out) { out.stride = 16; });
  refuses([](auto&, auto& out) { ++out.codes; });
  refuses([](auto&, auto& out) { out.scales_stride = 3; });
  cuda::Fp8Output nowhere{};
  CHECK_THROWS_AS(cuda::quantise_128x128(x.on(data), got.out(), &nowhere, Scale::fp32), std::invalid_argument);
}
