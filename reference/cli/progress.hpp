// SPDX-License-Identifier: MIT
/// \file
/// A progress bar on a terminal; nothing in a pipe.
#pragma once
#include <chrono>
#include <string>

#include "reference/core/real.hpp"

namespace dsv3::cli {

/// Draws on stderr if that is a terminal: "layers [####------] 12/61  3.4 s left  NOTE".
class Progress {
 public:
  Progress(std::string what, Index total);
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance(const std::string& note = "") { show(done_ + 1, note); }
  void show(Index done, const std::string& note = "");  ///< `done` of `total`
  void finish();                                        ///< clears the line

 private:
  std::string what_;
  Index total_, done_ = 0, first_ = -1;
  bool visible_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// "2 min 5 s", "3.4 s".
std::string duration_text(double seconds);

}  // namespace dsv3::cli
