// SPDX-License-Identifier: MIT
/// \file
/// A small text to train on, made of a few words.
#pragma once
#include <string>

#include "reference/core/random.hpp"

namespace dsv3::test {

/// `pieces` documents of 60 to 100 words each, apart by two blank lines; long enough to be cut there.
inline std::string small_text(int pieces = 60, std::uint64_t seed = 1) {
  static const char* const words[] = {"the",     "river", "stone", "and",   "a",     "light", "over",
                                      "morning", "said",  "king",  "went",  "down",  "to",    "house",
                                      "bread",   "of",    "seven", "years", "voice", "earth"};
  Random random(seed);
  std::string text;
  for (int piece = 0; piece < pieces; ++piece) {
    const Index count = 60 + random.below(41);
    for (Index i = 0; i < count; ++i) {
      const Index a = random.below(20);  // every second word follows from the one before
      text += std::string(words[a]) + " " + words[(7 * a + 3) % 20] + (i % 9 == 8 ? ".\n" : " ");
    }
    text += "\n\n\n";
  }
  return text;
}

}  // namespace dsv3::test
