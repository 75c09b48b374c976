// SPDX-License-Identifier: MIT
#include <omp.h>

#include <memory>
#include <numeric>

#include "reference/cli/bench.hpp"
#include "reference/cli/timing.hpp"
#include "reference/core/threads.hpp"
#include "reference/linear/panel_kernel.hpp"

namespace dsv3::cli {
namespace {

constexpr Index num_sums = 12;  // enough to hide the latency of one multiply-add behind the others
constexpr Index num_rounds = 200'000;
constexpr Index copied_values = 8 << 20;  // per array: larger than the caches of a core

/// num_sums * num_rounds packets of multiply-adds; returns something that depends on all of them.
real multiply_and_add(real factor, real term) {
  const Packet f = packet::pset1<Packet>(factor), t = packet::pset1<Packet>(term);
  Packet sums[num_sums];
  for (Index i = 0; i < num_sums; ++i) sums[i] = packet::pset1<Packet>(static_cast<real>(i));
  for (Index round = 0; round < num_rounds; ++round)
#pragma GCC unroll 12
    for (Index i = 0; i < num_sums; ++i) sums[i] = packet::pmadd(sums[i], f, t);
  real all = 0;
  for (const Packet& sum : sums) all += packet::predux(sum);
  return all;
}

void run_fma() {
  std::vector<real> results(omp_get_max_threads());
  parallel_for(std::ssize(results), [&](Index i) { results[i] = multiply_and_add(real(0.999), real(0.001)); });
  volatile real kept = std::accumulate(results.begin(), results.end(), real(0));
  static_cast<void>(kept);
}

double fma_work() { return 2e-9 * static_cast<double>(num_sums * lanes * num_rounds * omp_get_max_threads()); }

/// Two arrays as large as the caches do not hold, copied from one to the other and back.
struct Copy {
  std::vector<real> from = std::vector<real>(copied_values, real(1.5)),
                    to = std::vector<real>(copied_values, real(2.5));
  static double work() { return 2e-9 * sizeof(real) * static_cast<double>(copied_values); }
  void run() {
    parallel_rows(
        copied_values, [&](Index begin, Index count) { std::copy_n(&from[begin], count, &to[begin]); }, 1 << 20);
    std::swap(from, to);
  }
};

constexpr double at_least = 0.01;  // seconds

}  // namespace

double fma_ceiling(bool one_thread) { return fma_work() / seconds_of(run_fma, one_thread, at_least); }

double copy_ceiling(bool one_thread) {
  static Copy copy;
  return Copy::work() / seconds_of([] { copy.run(); }, one_thread, at_least);
}

std::vector<BenchRow> ceiling_rows() {
  return {{"fma", "multiply-adds in registers", {{"GFLOP/s", fma_work()}}, Ceiling::none, 0, [] { return run_fma; }},
          {"copy", "memory to memory, read + written", {{"GB/s", Copy::work()}}, Ceiling::none, 0, [] {
             return [copy = std::make_shared<Copy>()] { copy->run(); };
           }}};
}

}  // namespace dsv3::cli
