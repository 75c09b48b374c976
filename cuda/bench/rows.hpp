// SPDX-License-Identifier: MIT
/// \file
/// What dsv3_cuda_bench measures: rows of a table, each a call, its peers and the work they do.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "cuda/bench/timing.hpp"

namespace dsv3::cuda::bench {

/// A call that does a row's work, and what is wrong with its result after it (empty: nothing; no function: no result).
struct Call {
  std::string name;
  std::function<void()> run;
  std::function<std::string()> wrong = {};
  std::function<void()> forget = {};  ///< before it is checked: no result of another call is left
  std::string not_supported = {};     ///< why there is no call
};

/// Operands in the device's memory live as long as the calls do.
struct Calls {
  Call ours;
  std::vector<Call> peers;
};

struct Row {
  std::string name, what;
  const char* unit;  ///< "TFLOP/s" or "TB/s"
  double work;       ///< of a call: operations, or bytes read and written
  std::function<Calls(StopWatch&)> make;
  double goal = 0;        ///< of ours, in `unit`; 0: none is set
  double goal_ratio = 0;  ///< of ours over the first peer
};

std::vector<Row> ceiling_rows();
std::vector<Row> gemm_rows(bool quick);     ///< the products of shapes.hpp, and every rung of the ladder on one of them
std::vector<Row> grouped_rows(bool quick);  ///< experts: contiguous, masked; and Wgrad
std::vector<Row> memory_rows(bool quick);   ///< quantisation

}  // namespace dsv3::cuda::bench
