// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "cuda/core/launch.cuh"

using namespace dsv3::cuda;

namespace {

/// Each thread writes its number, then reads its neighbour's.
DSV3_KERNEL(64) rotate(int* out, bool synchronised) {
  int* const shared = reinterpret_cast<int*>(shared_memory());
  shared[thread()] = thread();
  if (synchronised) sync_threads();
  out[block() * num_threads() + thread()] = shared[(thread() + 1) % num_threads()];
}

DSV3_KERNEL(64) reduce(const float* in, float* sum, float* most) {
  sum[thread()] = warp_sum(in[thread()]), most[thread()] = warp_max(in[thread()], 8);
}

DSV3_KERNEL(96) half_waits() {
  if (thread() < 64) sync_some(1, 96);
}

DSV3_KERNEL(32) beyond(int* out, int size) { out[size + thread()] = 0; }

}  // namespace

TEST_CASE("played device: threads see what others wrote before a barrier, in every order of events") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    host::shuffle_events(seed);
    Buffer<int> out(128);
    launch(rotate, {.x = 2, .threads = 64, .shared_bytes = 256}, out.data(), true);
    const std::vector<int> seen = out.to_host();
    for (int t = 0; t < 128; ++t) CHECK(seen[static_cast<std::size_t>(t)] == (t % 64 + 1) % 64);
  }
}

TEST_CASE("played device: a barrier that is missing is noticed, shared memory is all NaN at first") {
  Buffer<int> out(64);
  launch(rotate, {.threads = 64, .shared_bytes = 256}, out.data(), false);
  int poisoned = 0;
  for (const int value : out.to_host()) poisoned += value == -1;
  CHECK(poisoned > 0);
}

TEST_CASE("played device: sums and maxima of neighbouring lanes") {
  std::vector<float> values(64);
  std::iota(values.begin(), values.end(), 1.0f);
  Buffer<float> in(values), sum(64), most(64);
  launch(reduce, {.threads = 64}, in.data(), sum.data(), most.data());
  CHECK(sum.to_host()[0] == 32 * 33 / 2);
  CHECK(sum.to_host()[63] == 64 * 65 / 2 - 32 * 33 / 2);
  CHECK(most.to_host()[9] == 16);
}

TEST_CASE("played device: threads that wait for ever are an error that says how many") {
  CHECK_THROWS_WITH(launch(half_waits, {.threads = 96}), doctest::Contains("64 threads"));
}

TEST_CASE("played device: what is written beside a buffer is noticed") {
  CHECK(std::isnan(Buffer<float>(1).to_host()[0]));
  Buffer<int> out(4);
  const std::vector<int> before(64, static_cast<int>(0xA5A5A5A5u));
  launch(beyond, {.threads = 32}, out.data(), 4);
  CHECK(out.data()[4] == 0);
  for (int i = 0; i < 32; ++i) out.data()[4 + i] = before[0];  // its guard as it was: the end would be abort()
}
