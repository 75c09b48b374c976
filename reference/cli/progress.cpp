// SPDX-License-Identifier: MIT
#include "reference/cli/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace dsv3::cli {

std::string duration_text(double seconds) {
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  const auto whole = std::lround(seconds);
  return fmt::format("{} min {} s", whole / 60, whole % 60);
}

Progress::Progress(std::string what, Index total)
    : what_(std::move(what)), total_(std::max<Index>(total, 1)), visible_(isatty(STDERR_FILENO) != 0) {}

void Progress::show(Index done, const std::string& note) {
  if (first_ < 0) first_ = done_;  // a resumed run starts in the middle
  done_ = std::min(done, total_);
  if (!visible_) return;
  constexpr Index width = 24;
  const auto filled = static_cast<std::size_t>(width * done_ / total_);
  const double spent = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const double left =
      done_ > first_ ? spent / static_cast<double>(done_ - first_) * static_cast<double>(total_ - done_) : 0;
  fmt::print(stderr, "\r\033[K{} [{}{}] {}/{}  {} left  {}", what_, std::string(filled, '#'),
             std::string(width - filled, '-'), done_, total_, duration_text(left), note);
  std::fflush(stderr);
}

void Progress::finish() {
  if (visible_ && done_ > 0) fmt::print(stderr, "\r\033[K");
  visible_ = false;
}

}  // namespace dsv3::cli
