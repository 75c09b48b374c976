// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <set>
#include <vector>

#include "cuda/core/launch.cuh"
#include "cuda/core/wgmma.cuh"
#include "reference/core/random.hpp"
#include "reference/formats/format.hpp"
#include "reference/linear/tensor_core.hpp"

using namespace dsv3;
using namespace dsv3::cuda;

namespace {

constexpr int N = 32, K = 128;

enum class Mistake { none, no_wait_for_copy, no_wait_for_product, no_begin };

/// One 64 x N tile of A B^T: copied by TMA, multiplied by wgmma.
DSV3_KERNEL(128)
one_tile(DSV3_GRID_CONSTANT TensorMap a, DSV3_GRID_CONSTANT TensorMap b, float* out, int first_row, Mistake mistake) {
  std::byte *const a_tile = shared_memory(), *const b_tile = a_tile + mma_rows * K;
  Barrier& full = *reinterpret_cast<Barrier*>(b_tile + N * K);
  if (thread() == 0) {
    full.init(1);
    fence_barriers();
  }
  sync_threads();
  if (thread() == 0) {
    full.arrive_and_expect((mma_rows + N) * K);
    copy_tile(a_tile, a, first_row, 0, full);
    copy_tile(b_tile, b, 0, 0, full);
  }
  if (mistake != Mistake::no_wait_for_copy) full.wait(0);
  float d[N / 2];
  if (mistake != Mistake::no_begin) mma_begin();
  for (int k = 0; k < K; k += mma_bytes)
    mma<Mma::e4m3>(d, moved_along_k(wgmma_descriptor(shared_address(a_tile)), k),
                   moved_along_k(wgmma_descriptor(shared_address(b_tile)), k), k > 0);
  mma_commit();
  if (mistake != Mistake::no_wait_for_product) mma_wait<0>();
  for (int i = 0; i < N / 2; ++i) out[accumulator_row(thread(), i) * N + accumulator_col(thread(), i)] = d[i];
}

std::vector<std::uint8_t> codes(int count, std::uint64_t seed) {
  Random random(seed);
  std::vector<std::uint8_t> all;
  for (int i = 0; i < count; ++i)
    all.push_back(static_cast<std::uint8_t>(encode(FormatId::e4m3, static_cast<float>(random.normal()))));
  return all;
}

const std::vector<std::uint8_t>& a_codes() {
  static const auto all = codes(100 * K, 1);
  return all;
}
const std::vector<std::uint8_t>& b_codes() {
  static const auto all = codes(N * K, 2);
  return all;
}

/// Of A's first `a_rows` rows, those from `first_row` on.
std::vector<float> product(int a_rows, int first_row, Mistake mistake) {
  const Buffer<std::uint8_t> a(a_codes()), b(b_codes());
  Buffer<float> out(mma_rows * N);
  launch(one_tile, {.threads = 128, .shared_bytes = (mma_rows + N) * K + 8},
         tensor_map(a.data(), a_rows, K, K, mma_rows), tensor_map(b.data(), N, K, K, N), out.data(), first_row,
         mistake);
  return out.to_host();
}

/// The same, of tiles that the threads copy: each warp a quarter of both.
DSV3_KERNEL(128) copied_tile(const std::uint8_t* a, const std::uint8_t* b, float* out, bool waits) {
  std::byte *const a_tile = shared_memory(), *const b_tile = a_tile + mma_rows * K;
  for (int i = thread(); i < (mma_rows + N) * K; i += 128) {
    const bool of_a = i < mma_rows * K;
    const int at = of_a ? i : i - mma_rows * K;
    (of_a ? a_tile : b_tile)[swizzled(static_cast<std::uint32_t>(at))] = static_cast<std::byte>((of_a ? a : b)[at]);
  }
  fence_shared_for_async();
  if (waits) sync_threads();
  float d[N / 2];
  mma_begin();
  for (int k = 0; k < K; k += mma_bytes)
    mma<Mma::e4m3>(d, moved_along_k(wgmma_descriptor(shared_address(a_tile)), k),
                   moved_along_k(wgmma_descriptor(shared_address(b_tile)), k), k > 0);
  mma_commit();
  mma_wait<0>();
  for (int i = 0; i < N / 2; ++i) out[accumulator_row(thread(), i) * N + accumulator_col(thread(), i)] = d[i];
}

std::vector<float> product_of_copied(bool waits) {
  const Buffer<std::uint8_t> a(a_codes()), b(b_codes());
  Buffer<float> out(mma_rows * N);
  launch(copied_tile, {.threads = 128, .shared_bytes = (mma_rows + N) * K}, a.data(), b.data(), out.data(), waits);
  return out.to_host();
}

std::vector<float> row_of(const std::vector<std::uint8_t>& all, int row) {
  std::vector<float> values;
  for (int k = 0; k < K; ++k) values.push_back(values_of(FormatId::e4m3)[all[static_cast<std::size_t>(row * K + k)]]);
  return values;
}

float expected(int a_rows, int row, int j) {
  return row < a_rows ? sum_of_products(hopper_fp8_wgmma, {row_of(a_codes(), row)}, {row_of(b_codes(), j)}) : 0;
}

bool is_right(const std::vector<float>& found, int a_rows, int first_row) {
  for (int i = 0; i < mma_rows; ++i)
    for (int j = 0; j < N; ++j)
      if (!(found[static_cast<std::size_t>(i * N + j)] == expected(a_rows, first_row + i, j))) return false;
  return true;
}

}  // namespace

TEST_CASE("swizzle: every byte of a tile has one place, and eight rows' pieces of one column lie in all banks") {
  std::set<std::uint32_t> places;
  for (std::uint32_t i = 0; i < 64 * 128; ++i) places.insert(swizzled(i));
  CHECK(places.size() == 64 * 128);
  CHECK(*places.rbegin() == 64 * 128 - 1);
  for (std::uint32_t piece = 0; piece < 8; ++piece) {
    std::set<std::uint32_t> banks;
    for (std::uint32_t row = 0; row < 8; ++row) banks.insert(swizzled(row * 128 + piece * 16) % 128);
    CHECK(banks.size() == 8);
  }
  CHECK(swizzled(0x91) == 0x81);  // row 1, piece 1: the exclusive or of the two
}

TEST_CASE("wgmma: the descriptor's fields, by hand; a step along K moves the address alone") {
  CHECK(wgmma_descriptor(0x2400) == 0x4000'0040'0001'0240u);
  CHECK(moved_along_k(wgmma_descriptor(0x2400), 96) == wgmma_descriptor(0x2460));
}

TEST_CASE("wgmma: a warpgroup's registers hold every sum of a 64 x N tile once") {
  for (const int n : {16, 64, 160, 256}) {
    std::set<std::pair<int, int>> places;
    for (int t = 0; t < warpgroup_size; ++t)
      for (int i = 0; i < n / 2; ++i) places.emplace(accumulator_row(t, i), accumulator_col(t, i));
    CHECK(places.size() == static_cast<std::size_t>(64 * n));
    CHECK(*places.rbegin() == std::pair(63, n - 1));
  }
  CHECK(accumulator_row(37, 2) == 16 + 1 + 8);  // lane 5 of warp 1
  CHECK(accumulator_col(37, 5) == 8 + 2 + 1);
}

TEST_CASE("played Hopper: a tile copied and multiplied has the bits of the bit-faithful model; rows beyond are zeros") {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    host::shuffle_events(seed);
    CHECK(is_right(product(64, 0, Mistake::none), 64, 0));
    CHECK(is_right(product(100, 64, Mistake::none), 100, 64));
  }
}

TEST_CASE("played Hopper: what a kernel forgets to wait for is noticed") {
  host::shuffle_events(0);
  bool always_right = true;  // a copy can be in time by chance
  for (int i = 0; i < 8; ++i) always_right = always_right && is_right(product(64, 0, Mistake::no_wait_for_copy), 64, 0);
  CHECK(!always_right);
  CHECK(!is_right(product(64, 0, Mistake::no_wait_for_product), 64, 0));
  CHECK_THROWS_WITH(product(64, 0, Mistake::no_begin), "a product without mma_begin");
}

TEST_CASE("played Hopper: a product waits for its own warp alone, and reads other warps' copies when it likes") {
  host::shuffle_events(0);
  bool always_right = true;
  for (int i = 0; i < 8; ++i) {
    CHECK(is_right(product_of_copied(true), 64, 0));
    always_right = always_right && is_right(product_of_copied(false), 64, 0);
  }
  CHECK(!always_right);
}
