// SPDX-License-Identifier: MIT
#include "reference/data/fim.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

using namespace dsv3;

namespace {

using Tokens = std::vector<Token>;

constexpr FimTokens fim{100, 101, 102};  // begin, hole, end

Tokens numbers(Index count) {
  Tokens tokens(count);
  std::iota(tokens.begin(), tokens.end(), 0);
  return tokens;
}

/// prefix + middle + suffix of begin prefix hole suffix end middle
Tokens put_back(const Tokens& t) {
  const auto hole = std::find(t.begin(), t.end(), fim.hole), end = std::find(t.begin(), t.end(), fim.end);
  Tokens out(t.begin() + 1, hole);
  out.insert(out.end(), end + 1, t.end());
  out.insert(out.end(), hole + 1, end);
  return out;
}

}  // namespace

TEST_CASE("fim: prefix, suffix, middle, each after its sentinel; three tokens more; putting back gives the document") {
  Random random(1);
  for (Index size = 0; size < 200; ++size) {
    const Tokens document = numbers(size % 90), t = fill_in_the_middle(document, fim, random);
    CHECK(t.size() == document.size() + 3);
    CHECK(t.front() == fim.begin);
    for (const Token sentinel : {fim.begin, fim.hole, fim.end}) CHECK(std::count(t.begin(), t.end(), sentinel) == 1);
    CHECK(std::find(t.begin(), t.end(), fim.hole) < std::find(t.begin(), t.end(), fim.end));
    CHECK(put_back(t) == document);
  }
}

TEST_CASE("fim: every pair of places is cut, different ones twice as often as one place twice") {
  Random random(2);
  std::map<Tokens, int> seen;
  const Tokens document = numbers(2);
  constexpr int draws = 9000;
  for (int i = 0; i < draws; ++i) ++seen[fill_in_the_middle(document, fim, random)];
  CHECK(seen.size() == 6);
  for (const auto& [tokens, count] : seen) {
    const bool empty_middle = tokens.back() == fim.end;
    // 1/9 or 2/9 of 9000 draws; the standard deviation is below 40, five of them are 200
    CHECK(std::abs(count - (empty_middle ? 1000 : 2000)) < 200);
  }
}

TEST_CASE("fim: the rate decides how many documents, exactly; which ones is drawn") {
  Random random(3);
  for (const Index count : {0, 1, 7, 100}) {
    for (const double rate : {0., 0.1, 0.5, 1.}) {
      const std::vector<bool> chosen = choose_for_fim(count, rate, random);
      CHECK(static_cast<Index>(chosen.size()) == count);
      CHECK(std::count(chosen.begin(), chosen.end(), true) == std::llround(rate * static_cast<double>(count)));
    }
  }
  std::vector<int> often(10);
  for (int i = 0; i < 3000; ++i) {
    const std::vector<bool> chosen = choose_for_fim(10, 0.3, random);
    for (int d = 0; d < 10; ++d) often[d] += chosen[d];
  }
  for (const int n : often) CHECK(std::abs(n - 900) < 126);  // five standard deviations of sqrt(3000 0.3 0.7) = 25.1
}

TEST_CASE("fim: a rate that is no share is refused") {
  Random random(1);
  for (const double rate : {-0.1, 1.1, std::nan("")})
    CHECK_THROWS_AS(choose_for_fim(3, rate, random), std::invalid_argument);
}

TEST_CASE("fim: the sentinels are those of the tokenizer") {
  const FimTokens tokens = fim_tokens(train_tokenizer(std::vector<std::string_view>{"x"}));
  CHECK(tokens.hole == 2);
  CHECK(tokens.begin == 3);
  CHECK(tokens.end == 4);
  const Tokenizer without = train_tokenizer(std::vector<std::string_view>{"x"}, {.special_tokens = {}});
  CHECK_THROWS_WITH_AS(fim_tokens(without), doctest::Contains("fim"), std::runtime_error);
}
