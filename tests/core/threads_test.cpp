// SPDX-License-Identifier: MIT
#include "reference/core/threads.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace dsv3;

namespace {
struct Threads {
  explicit Threads(int n) { omp_set_num_threads(n); }
  ~Threads() { omp_set_num_threads(2); }
};
}  // namespace

TEST_CASE("parallel_for: every index once, for any number of threads") {
  for (const int threads : {1, 2, 5}) {
    const Threads set(threads);
    std::vector<std::atomic<int>> visits(1000);
    parallel_for(1000, [&](Index i) { ++visits[static_cast<std::size_t>(i)]; });
    for (const auto& n : visits) REQUIRE(n == 1);
  }
  parallel_for(0, [](Index) { FAIL("there is no index"); });
}

TEST_CASE("parallel_for: more than one thread takes part") {
  const Threads set(2);
  std::atomic<int> arrived{0}, met{0};
  parallel_for(2, [&](Index) {
    ++arrived;  // each waits for the other: in sequence the first would wait in vain
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (arrived < 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    met += arrived == 2;
  });
  CHECK(met == 2);
}

TEST_CASE("parallel_for: an exception comes out with its type and message, the other indices still run") {
  for (const int threads : {1, 2, 5}) {
    const Threads set(threads);
    std::atomic<int> done{0};
    const auto run = [&] {
      parallel_for(100, [&](Index i) {
        if (i == 37) throw std::invalid_argument("index 37");
        ++done;
      });
    };
    CHECK_THROWS_WITH_AS(run(), "index 37", std::invalid_argument);
    CHECK(done == 99);
  }
}

TEST_CASE("parallel_for: of many exceptions one comes out, and the next call is not affected") {
  const Threads set(5);
  for (int round = 0; round < 20; ++round) {
    CHECK_THROWS_AS(parallel_for(50, [](Index i) { throw std::runtime_error(std::to_string(i)); }), std::runtime_error);
    std::atomic<int> done{0};
    parallel_for(50, [&](Index) { ++done; });
    CHECK(done == 50);
  }
}

TEST_CASE("parallel_for: inside another one it runs in order on the same thread") {
  const Threads set(2);
  omp_set_max_active_levels(2);  // nested threads are allowed, and still not used
  std::vector<std::vector<Index>> orders(4);
  std::atomic<int> strangers{0};
  parallel_for(4, [&](Index outer) {
    parallel_for(10, [&](Index inner) {
      orders[static_cast<std::size_t>(outer)].push_back(inner);
      strangers += omp_get_num_threads() - 1;
    });
  });
  omp_set_max_active_levels(1);
  for (const auto& order : orders) CHECK(order == std::vector<Index>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(strangers == 0);
}

TEST_CASE("parallel_rows: consecutive blocks cover every row once; only the last may be smaller") {
  for (const Index rows : {0, 1, 63, 64, 65, 128, 1000})
    for (const Index block : {1, 7, 64, 2000}) {
      std::vector<std::atomic<int>> visits(static_cast<std::size_t>(rows));
      std::atomic<int> wrong{0};
      parallel_rows(
          rows,
          [&](Index begin, Index count) {
            wrong += begin % block != 0 || count != std::min(block, rows - begin) || count < 1;
            for (Index r = begin; r < begin + count; ++r) ++visits.at(static_cast<std::size_t>(r));
          },
          block);
      CHECK(wrong == 0);
      for (const auto& n : visits) REQUIRE(n == 1);
    }
}
