// SPDX-License-Identifier: MIT
#include "reference/cli/program.hpp"

#include <algorithm>
#include <cstdlib>

namespace dsv3::cli {
namespace {

volatile std::sig_atomic_t interrupted = 0;

/// Letters to insert, delete, replace or swap with a neighbour to make one word of the other.
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i)
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

}  // namespace

std::string program_name() {
  const char* const name = std::getenv("DSV3_NAME");
  return name != nullptr && name[0] != '\0' ? name : "dsv3";
}

std::string nearest_word(const std::string& word, const std::vector<std::string>& known) {
  std::string nearest;
  std::size_t least = 3;
  for (const std::string& candidate : known) {
    const std::size_t d = distance(word, candidate);
    if (d < least && 2 * d < std::min(word.size(), candidate.size())) least = d, nearest = candidate;
  }
  return nearest;
}

Interrupt::Interrupt() {
  interrupted = 0;
  struct sigaction once {};
  once.sa_handler = [](int) { interrupted = 1; };
  once.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  ::sigaction(SIGINT, &once, &before_);
}

Interrupt::~Interrupt() { ::sigaction(SIGINT, &before_, nullptr); }

bool Interrupt::asked() { return interrupted != 0; }

}  // namespace dsv3::cli
