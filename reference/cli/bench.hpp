// SPDX-License-Identifier: MIT
/// \file
/// What `dsv3 bench` measures: rows of a table, each a call and the work it does.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "reference/core/real.hpp"

namespace dsv3::cli {

enum class Ceiling { none, fma, copy };  ///< the limit of the machine a row is compared with

/// A way to state the time of a call: `work` / seconds, or seconds * `work` where the unit is a time.
struct Figure {
  const char* unit;
  double work;
  bool is_time = false;
  double value(double seconds) const { return is_time ? seconds * work : work / seconds; }
};

/// What does the same work and takes its turns with a row in the same run.
struct Peer {
  std::string name;
  double goal = 0;           ///< of the ratio; 0: none is set
  bool at_most = false;      ///< the ratio is our time over the peer's, the less the better; else the other way round
  std::string request = {};  ///< of bench/peer_server.py, or empty ...
  std::function<std::function<void()>()> make = {};  ///< ... for a call of our own
  double ratio(double ours, double theirs) const { return at_most ? ours / theirs : theirs / ours; }
  bool reached(double ratio) const { return at_most ? ratio <= goal : ratio >= goal; }
};

struct BenchRow {
  std::string name, what;
  std::vector<Figure> figures;  ///< the first is the row's own
  Ceiling ceiling = Ceiling::none;
  double ceiling_work = 0;  ///< of a call, in units of 1e9: multiply-adds count two, bytes moved one
  std::function<std::function<void()>()> make;  ///< the call, with the random data it owns
  std::optional<Peer> peer = {};
  double goal = 0;  ///< of the first figure: at least so much; 0: none is set
};

std::vector<BenchRow> ceiling_rows();
std::vector<BenchRow> kernel_rows();    ///< products, attention, gate, permutation, AdamW, RMSNorm, SwiGLU
std::vector<BenchRow> format_rows();    ///< casts and quantisation of FP8
std::vector<BenchRow> fp8_gemm_rows();  ///< products of FP8 codes, fast and as tensor cores sum
std::vector<BenchRow> step_rows();      ///< training steps of the model of bench/peers, their products alone, and FP8's

/// The fastest multiply-adds of all threads: twelve independent sums each. 1e9 operations a second, two for each.
double fma_ceiling(bool one_thread);
/// The fastest copy from memory to memory on all threads: 1e9 bytes read and written a second.
double copy_ceiling(bool one_thread);

}  // namespace dsv3::cli
