// SPDX-License-Identifier: MIT
/// \file
/// The one place that starts threads. Work is cut by shape, never by the number of threads, so the bits of a result do
/// not depend on how many there are.
#pragma once
#include <omp.h>

#include <algorithm>
#include <exception>

#include "reference/core/real.hpp"

namespace dsv3 {

/// f(0) .. f(count-1) in any order on all threads; inside another parallel_for, in order on this thread.
/// The first exception thrown is thrown again here, after all threads have stopped.
template <class F>
void parallel_for(Index count, const F& f) {
  std::exception_ptr error;
#pragma omp parallel for schedule(dynamic) if (count > 1 && !omp_in_parallel())
  for (Index i = 0; i < count; ++i) {
    try {
      f(i);
    } catch (...) {
#pragma omp critical(dsv3_parallel_for)
      if (!error) error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

/// f(begin, count) for consecutive blocks of at most `block` of the `rows` rows, on all threads.
template <class F>
void parallel_rows(Index rows, const F& f, Index block = 64) {
  parallel_for((rows + block - 1) / block, [&](Index i) { f(i * block, std::min(block, rows - i * block)); });
}

}  // namespace dsv3
