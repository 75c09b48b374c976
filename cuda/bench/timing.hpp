// SPDX-License-Identifier: MIT
/// \file
/// How long calls take on the device.
#pragma once
#include <functional>
#include <vector>

#include "cuda/core/device.hpp"

struct CUevent_st;

namespace dsv3::cuda::bench {

/// Takes times on the default stream. Before each call more is written than the L2 cache holds, so that the call finds
/// none of its operands there, and so long that the host has launched the call before the device comes to it.
class StopWatch {
 public:
  StopWatch();
  ~StopWatch();
  StopWatch(const StopWatch&) = delete;
  StopWatch& operator=(const StopWatch&) = delete;

  double seconds(const std::function<void()>& call);

 private:
  Memory flush_;
  CUevent_st *start_, *stop_;
};

/// `rounds` times of each call, taken in turns: 0 1 2 .. and in the next round 2 1 0, so that what changes with time,
/// such as the clocks of a warm device, meets all alike. Each has run once before.
std::vector<std::vector<double>> interleaved(StopWatch& watch, const std::vector<std::function<void()>>& calls,
                                             int rounds);

}  // namespace dsv3::cuda::bench
