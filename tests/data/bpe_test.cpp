// SPDX-License-Identifier: MIT
#include "reference/data/bpe.hpp"

#include <doctest/doctest.h>

#include <numeric>
#include <set>

#include "reference/core/random.hpp"

using namespace dsv3;

namespace {

using Tokens = std::vector<Token>;

std::array<Token, 256> own_bytes() {
  std::array<Token, 256> tokens;
  std::iota(tokens.begin(), tokens.end(), 0);
  return tokens;
}

Tokens encode(const std::vector<Merge>& merges, std::string_view piece) {
  Tokens out;
  Bpe(own_bytes(), merges).encode(piece, out);
  return out;
}

/// The twin: looks through the whole piece for the lowest rank, again and again.
Tokens slow_encode(const std::vector<Merge>& merges, std::string_view piece) {
  Tokens t;
  for (const char c : piece) t.push_back(static_cast<unsigned char>(c));
  for (;;) {
    std::size_t best = merges.size(), at = 0;
    for (std::size_t i = 0; i + 1 < t.size(); ++i)
      for (std::size_t m = 0; m < best; ++m)
        if (merges[m].left == t[i] && merges[m].right == t[i + 1]) {
          best = m;
          at = i;
        }
    if (best == merges.size()) return t;
    t[at] = merges[best].merged;
    t.erase(t.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

}  // namespace

TEST_CASE("bpe: by hand: the lowest rank is merged first, not the leftmost or the longest") {
  const std::vector<Merge> merges = {{'b', 'c', 256}, {'a', 'b', 257}, {257, 'c', 258}, {'a', 256, 259}};
  CHECK(encode(merges, "abc") == Tokens{259});
  CHECK(encode(merges, "abab") == Tokens{257, 257});
  CHECK(encode(merges, "aabc") == Tokens{'a', 259});
  CHECK(encode({{'a', 'b', 257}, {'b', 'c', 256}}, "abc") == Tokens{257, 'c'});
}

TEST_CASE("bpe: equal ranks go from left to right") {
  const std::vector<Merge> merges = {{'a', 'a', 256}};
  CHECK(encode(merges, "aaa") == Tokens{256, 'a'});
  CHECK(encode(merges, "aaaaa") == Tokens{256, 256, 'a'});
}

TEST_CASE("bpe: nothing and one byte") {
  CHECK(encode({}, "") == Tokens{});
  CHECK(encode({}, "\xFF") == Tokens{255});
}

TEST_CASE("bpe: a million equal bytes take no long time") {
  const std::vector<Merge> merges = {{'a', 'a', 256}, {256, 256, 257}};
  CHECK(encode(merges, std::string(1'000'001, 'a')).size() == 250'001);
}

TEST_CASE("bpe: a pair that is merged twice is refused") {
  CHECK_THROWS_WITH_AS(Bpe(own_bytes(), {{'a', 'b', 256}, {'a', 'b', 256}}), doctest::Contains("is there twice"),
                       std::invalid_argument);
}

TEST_CASE("bpe: agrees with the search through the whole piece, on random merges and pieces") {
  Random random(1);
  for (int round = 0; round < 200; ++round) {
    // Any pair of tokens there are so far; which bytes it spells does not matter to the algorithm.
    std::vector<Merge> merges;
    std::set<std::pair<Token, Token>> pairs;
    Tokens known = {'a', 'b', 'c'};
    for (Token t = 256; t < 276; ++t) {
      const Token left = known[random.below(static_cast<Index>(known.size()))];
      const Token right = known[random.below(static_cast<Index>(known.size()))];
      if (!pairs.insert({left, right}).second) continue;
      merges.push_back({left, right, t});
      known.push_back(t);
    }
    std::string piece;
    for (Index i = random.below(60); i >= 0; --i) piece += static_cast<char>('a' + random.below(3));
    CHECK(encode(merges, piece) == slow_encode(merges, piece));
  }
}
