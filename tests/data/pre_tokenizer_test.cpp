// SPDX-License-Identifier: MIT
#include "reference/data/pre_tokenizer.hpp"

#include <doctest/doctest.h>

using namespace dsv3;

namespace {

using Pieces = std::vector<std::string_view>;

Pieces v3(std::string_view text) {
  static const PreTokenizer pre_tokenizer(deepseek_v3_splits());
  return pre_tokenizer.split(text);
}

}  // namespace

TEST_CASE("pre-tokenizer: words take the space before them, punctuation the line ends after it") {
  CHECK(v3("In the beginning, God.") == Pieces{"In", " the", " beginning", ",", " God", "."});
  CHECK(v3("end.\n\nNext") == Pieces{"end", ".\n\n", "Next"});
  CHECK(v3("a !?\r\nb") == Pieces{"a", " !?\r\n", "b"});
}

TEST_CASE("pre-tokenizer: one sign of ASCII stays with the Latin letters after it") {
  CHECK(v3("we'll(foo).x") == Pieces{"we", "'ll", "(foo", ").", "x"});
  CHECK(v3("we (foo) .x") == Pieces{"we", " (", "foo", ")", " .", "x"});
  CHECK(v3("_a__b") == Pieces{"_a", "__", "b"});
}

TEST_CASE("pre-tokenizer: digits in threes from the left, whatever their script") {
  CHECK(v3("a1234567") == Pieces{"a", "123", "456", "7"});
  CHECK(v3("\u0661\u0662\u0663\u0664") == Pieces{"\u0661\u0662\u0663", "\u0664"});
  CHECK(v3(" 12") == Pieces{" ", "12"});  // the space was cut off before the third rule looked
}

TEST_CASE("pre-tokenizer: Chinese characters and kana are runs of their own") {
  CHECK(v3("ab\u4e2d\u6587\u3042\u30a2cd") == Pieces{"ab", "\u4e2d\u6587\u3042\u30a2", "cd"});
  CHECK(v3("\u9fa5\u9fa6") == Pieces{"\u9fa5", "\u9fa6"});  // the range ends at U+9FA5
}

TEST_CASE(
    "pre-tokenizer: of white space before a word the last character goes with the word, line ends stay together") {
  CHECK(v3("a   b") == Pieces{"a", "  ", " b"});
  CHECK(v3("a \n\n b  ") == Pieces{"a", " \n\n", " b", "  "});
  CHECK(v3("\t\tx") == Pieces{"\t", "\tx"});
}

TEST_CASE("pre-tokenizer: a letter keeps its combining marks") {
  CHECK(v3("e\u0301t\u0301e x") == Pieces{"e\u0301t\u0301e", " x"});
}

TEST_CASE("pre-tokenizer: each rule sees only one piece of the rule before") {
  const PreTokenizer both({{"b"}, {"a(?!b)"}});
  CHECK(both.split("aab") == Pieces{"a", "a", "b"});  // in "aab" the second a has a b behind it, in "aa" it has not
  const PreTokenizer second({{"a(?!b)"}});
  CHECK(second.split("aab") == Pieces{"a", "ab"});
}

TEST_CASE("pre-tokenizer: bytes that are no UTF-8 are one piece and leave the text beside them as it is") {
  CHECK(v3("a b\xFF\xFE\x80 c d") == Pieces{"a", " b", "\xFF\xFE\x80", " c", " d"});
  CHECK(v3("\xE4\xB8") == Pieces{"\xE4\xB8"});
  CHECK(v3("x\xC3") == Pieces{"x", "\xC3"});
}

TEST_CASE("pre-tokenizer: without rules a text is one piece") {
  CHECK(PreTokenizer({}).split("a b") == Pieces{"a b"});
  CHECK(PreTokenizer({}).split("") == Pieces{});
}

TEST_CASE("pre-tokenizer: GPT-2's rule") {
  CHECK(PreTokenizer({gpt2_split()}).split("I'll  go12 !!") == Pieces{"I", "'ll", " ", " go", "12", " !!"});
}
