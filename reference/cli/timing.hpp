// SPDX-License-Identifier: MIT
/// \file
/// How long a call takes, and what many of them say together.
#pragma once
#include <algorithm>
#include <cmath>
#include <ctime>
#include <functional>
#include <vector>

namespace dsv3::cli {

/// Seconds of this thread's work (one thread: what other programs do then counts little), or of the wall clock.
inline double now(bool one_thread) {
  timespec time{};
  clock_gettime(one_thread ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Seconds of one call of f: the mean over as many as take `at_least` seconds.
template <class F>
double seconds_of(const F& f, bool one_thread, double at_least) {
  const double start = now(one_thread);
  double calls = 0, spent = 0;
  while (spent < at_least || calls == 0) {
    f();
    ++calls;
    spent = now(one_thread) - start;
  }
  return spent / calls;
}

/// The middle of some values and where the middle four fifths of them lie.
struct Spread {
  double low = 0, median = 0, high = 0;
};

/// At least one value; a quantile is the nearest value.
inline Spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double part) {
    return values[static_cast<std::size_t>(std::lround(part * static_cast<double>(values.size() - 1)))];
  };
  return {at(0.1), at(0.5), at(0.9)};
}

}  // namespace dsv3::cli
