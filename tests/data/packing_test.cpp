// SPDX-License-Identifier: MIT
#include "reference/data/packing.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

using namespace dsv3;

namespace {

using Tokens = std::vector<Token>;

constexpr Token end_of_document = 1, begin_of_document = 0;

/// Document d of d % 5 + 1 tokens: 1000 d + 1000, 1000 d + 1001, ...
std::vector<Tokens> documents(int count) {
  std::vector<Tokens> all;
  for (int d = 0; d < count; ++d) {
    all.emplace_back();
    for (int i = 0; i <= d % 5; ++i) all.back().push_back(1000 * d + 1000 + i);
  }
  return all;
}

std::vector<Tokens> sequences(const PackedText& text, Index first, Index count, Index T) {
  const Tokens tokens = text.sequences(first, count);
  std::vector<Tokens> all;
  for (Index i = 0; i < count; ++i) all.emplace_back(tokens.begin() + i * (T + 1), tokens.begin() + (i + 1) * (T + 1));
  return all;
}

}  // namespace

TEST_CASE("packing: by hand: one document of 5 tokens and its end in sequences of 2") {
  const PackedText text({{10, 11, 12, 13, 14}}, {.sequence_length = 2});
  CHECK(text.tokens_per_epoch() == 6);
  CHECK(text.sequences_per_epoch() == 2);  // 10 11 12, 12 13 14; the end token begins no third one
  std::set<Tokens> seen;
  for (const Tokens& s : sequences(text, 0, 2, 2)) seen.insert(s);
  CHECK(seen == std::set<Tokens>{{10, 11, 12}, {12, 13, 14}});
}

TEST_CASE("packing: an epoch holds every document once, followed by its end token, whatever the order") {
  constexpr Index T = 7;
  for (const bool begin : {false, true}) {
    PackingOptions options{.sequence_length = T, .seed = 5};
    if (begin) options.begin_token = begin_of_document;
    const PackedText text(documents(40), options);
    CHECK(text.tokens_per_epoch() == 8 * (1 + 2 + 3 + 4 + 5) + 40 * (begin ? 2 : 1));
    for (const Index epoch : {0, 1, 5}) {
      std::multiset<Token> targets;
      int wrong = 0;
      for (const Tokens& s : sequences(text, epoch * text.sequences_per_epoch(), text.sequences_per_epoch(), T)) {
        targets.insert(s.begin() + 1, s.end());
        for (std::size_t i = 0; i + 1 < s.size(); ++i) {
          const Token now = s[i], next = s[i + 1];
          const bool last = now >= 1000 && now % 1000 == (now / 1000 - 1) % 5;
          if (now == begin_of_document) wrong += next < 1000 || next % 1000 != 0;
          else if (now == end_of_document) wrong += begin ? next != begin_of_document : next % 1000 != 0;
          else wrong += last ? next != end_of_document : next != now + 1;
        }
      }
      CHECK(wrong == 0);
      const auto text_tokens = std::count_if(targets.begin(), targets.end(), [](Token t) { return t >= 1000; });
      CHECK(text_tokens > 100);  // of 120; fewer than T + 1 tokens of the stream are no target
      for (const Token t : targets)
        if (t >= 1000) CHECK(targets.count(t) == 1);
      CHECK(text.tokens_per_epoch() - static_cast<Index>(targets.size()) <= T);
    }
  }
}

TEST_CASE("packing: neighbouring sequences of the stream share one token") {
  constexpr Index T = 4;
  const PackedText text({{10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21}}, {.sequence_length = T});
  std::set<Tokens> seen;
  for (const Tokens& s : sequences(text, 0, text.sequences_per_epoch(), T)) seen.insert(s);
  CHECK(seen == std::set<Tokens>{{10, 11, 12, 13, 14}, {14, 15, 16, 17, 18}, {18, 19, 20, 21, 1}});
}

TEST_CASE("packing: sequence i is the same however it is asked for, also over the end of an epoch") {
  constexpr Index T = 5;
  PackingOptions options{.sequence_length = T, .seed = 9, .fim_rate = 0.5, .fim = FimTokens{3, 2, 4}};
  const PackedText text(documents(30), options), again(documents(30), options);
  const Index total = 3 * text.sequences_per_epoch() + 2;
  const std::vector<Tokens> all = sequences(text, 0, total, T);
  for (Index i = 0; i < total; ++i) CHECK(sequences(again, i, 1, T)[0] == all[i]);
  CHECK(sequences(again, 7, total - 7, T) == std::vector<Tokens>(all.begin() + 7, all.end()));
  CHECK(text.sequences(3, 0).empty());
}

TEST_CASE("packing: seeds and epochs differ in the order of documents and of sequences") {
  constexpr Index T = 6;
  const auto epoch = [&](std::uint64_t seed, Index number) {
    const PackedText text(documents(50), {.sequence_length = T, .seed = seed});
    return text.sequences(number * text.sequences_per_epoch(), text.sequences_per_epoch());
  };
  CHECK(epoch(1, 0) == epoch(1, 0));
  CHECK(epoch(1, 0) != epoch(2, 0));
  CHECK(epoch(1, 0) != epoch(1, 1));
  // One document: only the order of the sequences is left to differ.
  Tokens one(100);
  for (int i = 0; i < 100; ++i) one[i] = 10 + i;
  const PackedText text({one}, {.sequence_length = T});
  std::set<Tokens> orders;
  for (Index e = 0; e < 5; ++e)
    orders.insert(text.sequences(e * text.sequences_per_epoch(), text.sequences_per_epoch()));
  CHECK(orders.size() == 5);
}

TEST_CASE("packing: fim rate 1 rearranges every document, anew in each epoch; rate 0 none; the length is fixed") {
  const FimTokens fim{3, 2, 4};
  const auto count_of = [](const Tokens& tokens, Token token) {
    return std::count(tokens.begin(), tokens.end(), token);
  };
  // One sequence holds the whole epoch: 8 documents, 24 tokens, 8 ends.
  const std::vector<Tokens> some = {{10, 11, 12}, {20, 21, 22}, {30, 31, 32}, {40, 41, 42},
                                    {50, 51, 52}, {60, 61, 62}, {70, 71, 72}, {80, 81, 82}};
  for (const auto& [rate, rearranged] : {std::pair{0., 0}, {0.25, 2}, {1., 8}}) {
    const Index size = 32 + 3 * rearranged;
    const PackedText text(some, {.sequence_length = size - 1, .fim_rate = rate, .fim = fim});
    CHECK(text.tokens_per_epoch() == size);
    std::set<Tokens> epochs;
    for (Index e = 0; e < 6; ++e) {
      const Tokens tokens = text.sequences(e, 1);
      for (const Token sentinel : {fim.begin, fim.hole, fim.end}) CHECK(count_of(tokens, sentinel) == rearranged);
      CHECK(count_of(tokens, 1) == 8);
      epochs.insert(tokens);
      // In PSM order, ended by the end token: begin ... hole ... end ... 1, without another begin between.
      Token expected = fim.begin;
      for (const Token t : tokens) {
        if (t >= 10 || (t == 1 && expected == fim.begin)) continue;
        CHECK(t == expected);
        expected = t == fim.begin ? fim.hole : t == fim.hole ? fim.end : t == fim.end ? 1 : fim.begin;
      }
    }
    CHECK(epochs.size() == 6);
  }
}

TEST_CASE("packing: the cut of a document differs between epochs") {
  std::set<Tokens> cuts;
  Tokens one(50, 10);
  const PackedText text({one}, {.sequence_length = 53, .fim_rate = 1, .fim = FimTokens{3, 2, 4}});
  for (Index e = 0; e < 10; ++e) cuts.insert(text.sequences(e, 1));
  CHECK(cuts.size() > 5);
}

TEST_CASE("packing: other documents are rearranged in other epochs, each with a cut of its own") {
  const FimTokens fim{3, 2, 4};
  std::vector<Tokens> some;
  for (Token d = 1; d <= 8; ++d) some.emplace_back(40, 10 * d);
  const PackedText text(some, {.sequence_length = 8 * 41 + 4 * 3 - 1, .fim_rate = 0.5, .fim = fim});
  std::set<std::set<Token>> chosen;
  std::set<std::ptrdiff_t> prefixes;
  for (Index e = 0; e < 5; ++e) {
    const Tokens tokens = text.sequences(e, 1);
    std::set<Token> here;
    for (auto end = tokens.begin(), begin = end; end != tokens.end(); begin = end) {
      end = std::find(begin, tokens.end(), end_of_document) + 1;
      if (*begin != fim.begin) continue;
      here.insert(*std::max_element(begin, end));
      if (e == 0) prefixes.insert(std::find(begin, end, fim.hole) - begin);
    }
    CHECK(here.size() == 4);
    chosen.insert(here);
  }
  CHECK(chosen.size() > 1);
  CHECK(prefixes.size() > 1);
}

TEST_CASE("packing: what cannot be is refused with numbers") {
  CHECK_THROWS_WITH_AS(PackedText({{1, 2, 3}}, {.sequence_length = 4}), doctest::Contains("has 4 tokens; at least 5"),
                       std::runtime_error);
  CHECK(PackedText({{1, 2, 3}}, {.sequence_length = 3}).sequences_per_epoch() == 1);
  CHECK_THROWS_AS(PackedText({}, {.sequence_length = 4}), std::runtime_error);
  CHECK_THROWS_AS(PackedText({{1, 2}}, {.sequence_length = 0}), std::invalid_argument);
  CHECK_THROWS_AS(PackedText({{1, 2}}, {.sequence_length = 1, .fim_rate = 0.1}), std::invalid_argument);
  CHECK_THROWS_AS(PackedText({{1, 2}}, {.sequence_length = 1, .fim_rate = 2, .fim = FimTokens{}}),
                  std::invalid_argument);
  CHECK_THROWS_AS(PackedText({{1, 2}}, {.sequence_length = 1}).sequences(-1, 1), std::invalid_argument);
}
