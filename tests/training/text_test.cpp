// SPDX-License-Identifier: MIT
#include "reference/training/text.hpp"

#include <set>

#include "tests/checkpoint/scratch.hpp"
#include "tests/training/small_text.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

const Tokenizer& tokenizer() {
  static const Tokenizer trained = train_tokenizer(std::vector<std::string_view>{"some words"}, {.vocab_size = 300});
  return trained;
}

using Documents = std::vector<std::vector<Token>>;

std::uint64_t fingerprint(const Documents& training, const Documents& held_out = {}) {
  return RunText{tokenizer(), training, held_out}.fingerprint();
}

}  // namespace

TEST_CASE("text: the fingerprint sees every token, every border between documents and which part they are in") {
  const std::vector<std::pair<Documents, Documents>> all = {
      {{}, {}},           {{{1, 2}, {3}}, {}},   {{{1}, {2, 3}}, {}},
      {{{1, 2, 3}}, {}},  {{{1, 2, 3}, {}}, {}}, {{{}, {1, 2, 3}}, {}},
      {{{1, 2}}, {{3}}},  {{{2, 1}, {3}}, {}},   {{}, {{1, 2}, {3}}},
      {{{1, 2}, {4}}, {}}};
  std::set<std::uint64_t> seen;
  for (const auto& [training, held_out] : all) seen.insert(fingerprint(training, held_out));
  CHECK(seen.size() == all.size());
  CHECK(fingerprint({{1, 2}, {3}}) == fingerprint({{1, 2}, {3}}));
}

TEST_CASE("text: held-out text that is too short says how long a sequence may be") {
  const RunText text{tokenizer(), {}, {std::vector<Token>(70, 9)}};  // 71 with the end
  CHECK(thrown([&] { held_out_batch(text, 128, 8); }) ==
        "train: the held-out text has 71 tokens; a sequence of 128 needs 129: more text or a --length of at most 70 is "
        "needed");
  CHECK(held_out_batch(text, 70, 8).count == 1);
}

TEST_CASE("text: the tokens that begin and end a text are the tokenizer's") {
  const TextEnds ends = RunText{tokenizer(), {}, {}}.ends();
  CHECK(ends.begin == tokenizer().added(begin_token));
  CHECK(ends.end == tokenizer().added(end_token));
  CHECK(ends.begin != ends.end);
}
