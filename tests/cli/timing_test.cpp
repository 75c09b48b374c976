// SPDX-License-Identifier: MIT
#include "reference/cli/timing.hpp"

#include <doctest/doctest.h>

using namespace dsv3::cli;

TEST_CASE("timing: the spread of eleven values is their second, sixth and tenth, in whatever order they come") {
  const Spread s = spread_of({10, 0, 7, 3, 1, 9, 2, 8, 6, 4, 5});
  CHECK(s.low == 1);
  CHECK(s.median == 5);
  CHECK(s.high == 9);
  const Spread one = spread_of({3});
  CHECK(one.low == 3);
  CHECK(one.high == 3);
}

TEST_CASE("timing: a call is repeated until the time asked for is over, at least once, and its mean is given") {
  for (const bool one_thread : {false, true}) {
    int calls = 0;
    const auto work = [&] {
      ++calls;
      for (const double start = now(one_thread); now(one_thread) - start < 1e-3;) continue;
    };
    const double seconds = seconds_of(work, one_thread, 0.01);
    CHECK(seconds >= 1e-3);
    CHECK(calls >= 1);
    CHECK(calls <= 10);
    CHECK(seconds * calls >= 0.01);
    calls = 0;
    seconds_of(work, one_thread, 0);
    CHECK(calls == 1);
  }
}
