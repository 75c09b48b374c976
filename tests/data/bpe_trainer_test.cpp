// SPDX-License-Identifier: MIT
#include "reference/data/bpe_trainer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "reference/core/random.hpp"
#include "reference/data/byte_level.hpp"

using namespace dsv3;

namespace {

/// Merges as text: "a+b".
std::vector<std::string> spelt(const LearntBpe& learnt, Token first_token = 0) {
  std::vector<std::string> merges;
  for (const Merge& m : learnt.merges)
    merges.push_back(learnt.tokens[m.left - first_token] + "+" + learnt.tokens[m.right - first_token]);
  return merges;
}

using Texts = std::vector<std::string>;

/// The twin: counts all pairs of all words anew for each merge. Tokens are their text; `number` is the order of
/// appearance.
Texts slow_train(const PieceCounts& pieces, std::size_t num_merged, std::int64_t min_count) {
  std::map<std::string, int> number;
  for (const unsigned char byte : bytes_by_letter())
    number.emplace(std::string(1, static_cast<char>(byte)), number.size());
  std::vector<std::pair<Texts, std::int64_t>> words;
  for (const auto& [piece, count] : pieces) {
    words.push_back({{}, count});
    for (const char c : piece) words.back().first.push_back(std::string(1, c));
  }
  Texts merges;
  while (number.size() < 256 + num_merged) {
    std::map<std::pair<int, int>, std::int64_t> counts;
    std::map<std::pair<int, int>, std::pair<std::string, std::string>> pair_of;
    for (const auto& [word, count] : words)
      for (std::size_t i = 1; i < word.size(); ++i) {
        const std::pair key = {number.at(word[i - 1]), number.at(word[i])};
        counts[key] += count;
        pair_of[key] = {word[i - 1], word[i]};
      }
    const auto best = std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) {
      return a.second != b.second ? a.second < b.second : a.first > b.first;
    });
    if (best == counts.end() || best->second < min_count) break;
    const auto [left, right] = pair_of[best->first];
    number.emplace(left + right, static_cast<int>(number.size()));
    merges.push_back(left + "+" + right);
    for (auto& [word, count] : words)
      for (std::size_t i = 0; i + 1 < word.size(); ++i)
        if (word[i] == left && word[i + 1] == right) {
          word[i] += right;
          word.erase(word.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        }
  }
  return merges;
}

}  // namespace

TEST_CASE("trainer: by hand: low 5, lower 2, newest 6, widest 3") {
  // Pairs: es 6+3 = 9, st 9, we 2+6 = 8, lo 7, ow 7, ne 6, ew 6, wi 3, id 3, de 3, er 2. es before st: e is below s.
  const PieceCounts pieces = {{"low", 5}, {"lower", 2}, {"newest", 6}, {"widest", 3}};
  const LearntBpe learnt = train_bpe(pieces, {0, 256 + 5, 1});
  CHECK(spelt(learnt) == Texts{"e+s", "es+t", "l+o", "lo+w", "e+w"});
  // After est (9): lo 7, ow 7 (l is below o), then low 7, then ne, ew, west 6: the lowest pair of them is e+w.
  CHECK(learnt.tokens.size() == 261);
  CHECK(learnt.tokens[257] == "est");
  CHECK(learnt.merges[1] == Merge{256, 'z' - '!' - 6, 257});  // bytes are numbered by their letters, from ! = 0: t = 83
}

TEST_CASE("trainer: the first token comes after the special ones") {
  const LearntBpe learnt = train_bpe({{"ab", 2}}, {5, 262, 2});
  CHECK(learnt.merges == std::vector<Merge>{{'a' - '!' + 5, 'b' - '!' + 5, 261}});
}

TEST_CASE("trainer: stops at min_count, and where no pair is left") {
  const PieceCounts pieces = {{"ab", 3}, {"cd", 2}, {"ef", 1}};
  CHECK(spelt(train_bpe(pieces, {0, 300, 1})) == Texts{"a+b", "c+d", "e+f"});
  CHECK(spelt(train_bpe(pieces, {0, 300, 2})) == Texts{"a+b", "c+d"});
  CHECK(spelt(train_bpe(pieces, {0, 257, 1})) == Texts{"a+b"});
  CHECK(spelt(train_bpe({}, {0, 300, 1})).empty());
}

TEST_CASE("trainer: overlapping pairs count at every place and merge from the left") {
  // aaaa holds aa three times: 3 beats bc 2. It becomes aa aa (1), and bc is next.
  CHECK(spelt(train_bpe({{"aaaa", 1}, {"bc", 2}}, {0, 300, 1})) == Texts{"a+a", "b+c", "aa+aa"});
}

TEST_CASE("trainer: agrees with counting everything anew, on random words") {
  Random random(2);
  for (int round = 0; round < 150; ++round) {
    PieceCounts pieces;
    const Index letters = 1 + random.below(4);
    for (int w = 0; w < 25; ++w) {
      std::string word;
      for (Index i = random.below(12); i >= 0; --i) word += static_cast<char>('a' + random.below(letters));
      pieces[word] += 1 + random.below(5);
    }
    const Index num_merged = random.below(40);
    const LearntBpe learnt = train_bpe(pieces, {0, static_cast<Token>(256 + num_merged), 2});
    CHECK(spelt(learnt) == slow_train(pieces, num_merged, 2));
    CHECK(std::set(learnt.tokens.begin(), learnt.tokens.end()).size() == learnt.tokens.size());
  }
}

TEST_CASE("trainer: what cannot be is refused") {
  CHECK_THROWS_WITH_AS(train_bpe({}, {5, 260, 2}), doctest::Contains("at least 261 are needed"), std::invalid_argument);
  CHECK_THROWS_AS(train_bpe({}, {0, 256, 0}), std::invalid_argument);
}
