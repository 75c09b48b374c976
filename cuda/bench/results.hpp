// SPDX-License-Identifier: MIT
/// \file
/// What measuring a row gave, as a line of JSON and as lines of a table.
#pragma once
#include <iosfwd>
#include <string>
#include <vector>

#include "reference/cli/timing.hpp"

namespace dsv3::cuda::bench {

/// One call's times, or why there are none.
struct Timed {
  std::string name;
  cli::Spread seconds;
  cli::Spread ratio;  ///< of a peer: its time over ours in the same round; 0: none
  std::string why_not = {};
};

struct RowResult {
  std::string name, what, unit;
  double work = 0;
  double goal = 0, goal_ratio = 0;  ///< 0: none is set
  bool only_peers = false;          ///< those of another program, which have not taken turns with ours
  Timed ours = {};
  std::vector<Timed> peers = {};
};

/// The times of the calls that are right, round by round and in the order ours, peers; a ratio is taken within a round,
/// and where ours is not right there is none.
void take_times(RowResult& row, const std::vector<std::vector<double>>& seconds);

/// Of one row, without a line break.
std::string json_line(const RowResult& row);

/// Lines that json_line wrote, other lines of JSON left out (a "row" is what tells them apart), as rows.
/// \throws std::runtime_error with the number of a line that is not JSON or lacks a member.
std::vector<RowResult> read_lines(std::istream& lines);

/// Ours, then each peer; no line break at the end.
std::string text_of(const RowResult& row);

/// How many rows were measured, wrong or not measured, and how many goals are reached.
std::string summary(const std::vector<RowResult>& rows);

}  // namespace dsv3::cuda::bench
