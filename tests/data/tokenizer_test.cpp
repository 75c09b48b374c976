// SPDX-License-Identifier: MIT
#include "reference/data/tokenizer.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "reference/core/random.hpp"
#include "reference/data/byte_level.hpp"

using namespace dsv3;

namespace {

using Tokens = std::vector<Token>;

constexpr std::string_view genesis =
    "In the beginning God created the heaven and the earth.\nAnd the earth was without form, and void;\nand darkness "
    "was upon the face of the deep. And the Spirit of God moved upon the face of the waters.\n";

const Tokenizer& small() {
  static const Tokenizer tokenizer = train_tokenizer(std::vector{genesis}, {.vocab_size = 280});
  return tokenizer;
}

/// 256 bytes as tokens 0 .. 255, by letter.
TokenizerData bytes_only() {
  TokenizerData data;
  for (const unsigned char byte : bytes_by_letter())
    data.vocabulary.push_back(spell(std::string(1, static_cast<char>(byte))));
  return data;
}

bool comes_back(const Tokenizer& tokenizer, std::string_view bytes) {
  return tokenizer.decode(tokenizer.encode(bytes)) == bytes &&
         tokenizer.decode(tokenizer.encode_ordinary(bytes)) == bytes;
}

}  // namespace

TEST_CASE("tokenizer: special tokens are 0, 1, ..., then the bytes, then what was learnt") {
  CHECK(small().vocab_size() == 280);
  CHECK(small().added(begin_token) == 0);
  CHECK(small().added(end_token) == 1);
  CHECK(small().bytes(1) == end_token);
  CHECK(small().bytes(5) == "!");
  CHECK(small().bytes(261) == "th");
  CHECK(small().is_special(4));
  CHECK(!small().is_special(5));
  CHECK(!small().find_added("th"));
  CHECK_THROWS_WITH_AS(small().added("<x>"), "Tokenizer: '<x>' is no added token of this tokenizer; it is needed",
                       std::runtime_error);
}

TEST_CASE("tokenizer: all pairs of bytes come back, alone and within text") {
  int wrong = 0;
  for (int n = 0; n < 1 << 16; ++n) {
    const std::string pair = {static_cast<char>(n >> 8), static_cast<char>(n)};
    wrong += !comes_back(small(), pair) || !comes_back(small(), " the" + pair + "the ");
  }
  CHECK(wrong == 0);
}

TEST_CASE("tokenizer: random bytes come back, names of special tokens among them") {
  Random random(3);
  for (int round = 0; round < 300; ++round) {
    std::string bytes;
    for (Index i = random.below(200); i > 0; --i) {
      const Index kind = random.below(20);
      if (kind == 0) bytes += end_token;
      else if (kind < 4) bytes += end_token.substr(random.below(20), random.below(9));
      else bytes += static_cast<char>(random.below(256));
    }
    CHECK(comes_back(small(), bytes));
  }
}

TEST_CASE("tokenizer: a special token in the text is its token for encode, text for encode_ordinary") {
  const std::string both = "and" + std::string(end_token) + "and";
  const Tokens with = small().encode(both), without = small().encode_ordinary(both);
  CHECK(std::count(with.begin(), with.end(), 1) == 1);
  CHECK(std::count(without.begin(), without.end(), 1) == 0);
  CHECK(small().decode(with, true) == "andand");
  CHECK(small().decode(without, true) == both);
}

TEST_CASE("tokenizer: it compresses: fewer tokens than bytes, more with more vocabulary") {
  const Tokenizer larger = train_tokenizer(std::vector{genesis}, {.vocab_size = 290});
  const std::size_t tokens = small().encode(genesis).size();
  CHECK(tokens < genesis.size());
  CHECK(larger.encode(genesis).size() < tokens);
}

TEST_CASE("tokenizer: neither the order of the texts nor the pieces they come in matters") {
  const std::string_view first = genesis.substr(0, 55), rest = genesis.substr(55);  // after a line end
  const TokenizerTraining training{.vocab_size = 280};
  CHECK(train_tokenizer(std::vector{rest, first}, training).data() == small().data());
}

TEST_CASE("tokenizer: of added tokens the leftmost is taken, and of several there the longest") {
  TokenizerData data = bytes_only();
  data.added = {{256, "ab"}, {257, "abcd"}, {258, "bcdef"}, {259, "<a>"}};
  const Tokenizer tokenizer(data);
  CHECK(tokenizer.encode("abcdef") == Tokens{257, 'e' - '!', 'f' - '!'});
  CHECK(tokenizer.encode("abcbcdef<a>") == Tokens{256, 'c' - '!', 258, 259});
}

TEST_CASE("tokenizer: normalized added tokens are sought in what the others leave") {
  TokenizerData data = bytes_only();
  data.added = {{256, "abc", true, true}, {257, "cd", true, false}};
  CHECK(Tokenizer(data).encode("abcd") == Tokens{'a' - '!', 'b' - '!', 257});
  CHECK(Tokenizer(data).encode("abc") == Tokens{256});
  data.added[0].normalized = false;
  CHECK(Tokenizer(data).encode("abcd") == Tokens{256, 'd' - '!'});
}

TEST_CASE("tokenizer: with ignore_merges a piece in the vocabulary is one token though no merge makes it") {
  TokenizerData data = bytes_only();
  data.vocabulary.push_back("abc");
  CHECK(Tokenizer(data).encode("abc").size() == 3);
  data.ignore_merges = true;
  CHECK(Tokenizer(data).encode("abc") == Tokens{256});
  CHECK(Tokenizer(data).encode("abcd").size() == 4);
}

TEST_CASE("tokenizer: without ignore_merges the merges decide, even against the vocabulary") {
  TokenizerData data = bytes_only();
  for (const char* token : {"ab", "bc", "abc"}) data.vocabulary.push_back(token);
  data.merges = {{'b' - '!', 'c' - '!', 257}, {'a' - '!', 'b' - '!', 256}, {256, 'c' - '!', 258}};
  CHECK(Tokenizer(data).encode("abc") == Tokens{'a' - '!', 257});  // bc first, and a bc is no merge
}

TEST_CASE("tokenizer: parts that do not fit together are refused") {
  const auto refuse = [](auto change, const char* words) {
    TokenizerData data = bytes_only();
    change(data);
    CAPTURE(words);
    CHECK_THROWS_WITH_AS(Tokenizer{data}, doctest::Contains(words), std::runtime_error);
  };
  refuse([](auto& d) { d.vocabulary.pop_back(); }, "byte 173 ('\u0143') is not in the vocabulary");
  refuse([](auto& d) { d.vocabulary.push_back("!"); }, "'!' is token 0 and token 256");
  refuse([](auto& d) { d.vocabulary.push_back(""); }, "token 256 is empty");
  refuse([](auto& d) { d.merges = {{0, 256, 1}}; }, "a merge names token 256; 0 to 255");
  refuse([](auto& d) { d.merges = {{0, -1, 1}}; }, "a merge names token -1");
  refuse([](auto& d) { d.merges = {{0, 1, 2}}; }, "'!\"' is needed");
  refuse([](auto& d) { d.added = {{257, "x y"}}; }, "has number 257; 256, the next free one");
  refuse([](auto& d) { d.added = {{256, "a"}}; }, "has number 256; 64 is needed, as in the vocabulary");
  refuse([](auto& d) { d.added = {{256, "x y"}, {257, "x y"}}; }, "is there twice");
  refuse([](auto& d) { d.splits = {{"("}}; }, "a group is not closed");
  TokenizerData data = bytes_only();
  data.added = {{256, ""}};
  CHECK_THROWS(Tokenizer{data});
}

TEST_CASE("tokenizer: a token that is not there is named") {
  CHECK_THROWS_WITH_AS(small().decode(Tokens{5, 280}), "Tokenizer::bytes: token 280; 0 to 279 are there",
                       std::invalid_argument);
  CHECK_THROWS_AS(small().bytes(-1), std::invalid_argument);
}
