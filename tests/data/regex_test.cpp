// SPDX-License-Identifier: MIT
#include "reference/data/regex.hpp"

#include <doctest/doctest.h>

using namespace dsv3;

namespace {

using Pieces = std::vector<std::string_view>;

Pieces cut(const Regex& regex, std::string_view text) {
  Pieces pieces;
  regex.cut(text, pieces);
  return pieces;
}
Pieces cut(const char* pattern, std::string_view text) { return cut(Regex(pattern), text); }

}  // namespace

TEST_CASE("regex: a match and what lies between matches are pieces of their own") {
  CHECK(cut("[0-9]{1,3}", "ab12345c") == Pieces{"ab", "123", "45", "c"});
  CHECK(cut("b", "bab") == Pieces{"b", "a", "b"});
  CHECK(cut("x", "abc") == Pieces{"abc"});
  CHECK(cut("x", "") == Pieces{});
  CHECK(cut("abc", "abc") == Pieces{"abc"});
}

TEST_CASE("regex: an empty match cuts, but not where the last match ended") {
  CHECK(cut("(?=b)", "abab") == Pieces{"a", "ba", "b"});
  CHECK(cut("x*", "\u4e2d\u6587") == Pieces{"\u4e2d", "\u6587"});
  CHECK(cut("b*", "abbba") == Pieces{"a", "bbb", "a"});
}

TEST_CASE("regex: a literal is no pattern") {
  CHECK(cut(Regex::literal("a.b*"), "xa.b*aab") == Pieces{"x", "a.b*", "aab"});
}

TEST_CASE("regex: white space is Unicode's White_Space, without U+180E and with U+0085") {
  const char* space[] = {"\t",     "\n",     "\v",     "\f",     "\r",     " ",      "\u0085", "\u00a0",
                         "\u1680", "\u2000", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};
  for (const char* s : space) {
    CHECK(cut("\\s", std::string("a") + s + "b").size() == 3);
    CHECK(cut("[\\s]", std::string("a") + s + "b").size() == 3);
    CHECK(cut("\\S+", std::string("a") + s + "b").size() == 3);
    CHECK(cut("[^\\s]+", std::string("a") + s + "b").size() == 3);
  }
  for (const char* s : {"\u180e", "\u200b", "\ufeff", "\x1c"})
    CHECK(cut("\\s", std::string("a") + s + "b").size() == 1);
}

TEST_CASE("regex: categories, digits, ends of lines") {
  CHECK(cut("\\p{Lu}", "aB\u00c4c").size() == 4);
  CHECK(cut("\\P{L}+", "a1 \u0301b") == Pieces{"a", "1 \u0301", "b"});
  CHECK(cut("\\d", "a\u0663\u00bd") == Pieces{"a", "\u0663", "\u00bd"});
  CHECK(cut("\\D+", "12ab") == Pieces{"12", "ab"});
  CHECK(cut("\\s+$", "a  \nb c  ") == Pieces{"a", "  ", "\nb c", "  "});
  CHECK(cut("a.", "a\na\rb") == Pieces{"a\n", "a\r", "b"});
}

TEST_CASE("regex: ignoring case") {
  CHECK(cut("(?i:'s|'ll)|x", "I'LL'Sxx'X") == Pieces{"I", "'LL", "'S", "x", "x", "'X"});
  CHECK(cut("(?i:'s)", "a'\u017f") == Pieces{"a", "'\u017f"});  // the long s is an s
}

TEST_CASE("regex: what the two engines read differently is refused by name") {
  const std::pair<const char*, const char*> refused[] = {
      {"^a", "'^' is not supported"},
      {"\\w", "'\\w' is not supported"},
      {"\\h", "'\\h' is not supported"},
      {"\\bx", "'\\b' is not supported"},
      {"(a)\\1", "'\\1' is not supported"},
      {"\\v", "'\\v' is not supported"},
      {"(?m:a)", "groups"},
      {"(?<=a)b", "groups"},
      {"(?i)a", "groups"},
      {"(*UTF)a", "nothing to repeat"},
      {"[a[b]]", "'[' in a class"},
      {"[[:alpha:]]", "'[' in a class"},
      {"[a&&b]", "'&&'"},
      {"[]a]", "']' first"},
      {"[^]a]", "']' first"},
      {"[\\S]", "in a class is not supported"},
      {"[\\s-x]", "'-' after"},
      {"[!-\\s]", "'-' before"},
      {"[a", "not closed"},
      {"a{,3}", "{n}"},
      {"a{2}?", "quantifier after"},
      {"a{2}{3}", "quantifier after"},
      {"a**", "quantifier after"},
      {"a+?+", "quantifier after"},
      {"(?=a)*", "nothing to repeat"},
      {"|*", "nothing to repeat"},
      {"$+", "nothing to repeat"},
      {"(a", "not closed"},
      {"a)", "closes no group"},
      {"a\\", "at the end"},
      {"\\p{Greek}", "no general category"},
      {"\\p{^L}", "no general category"},
      {"\\pL", "needs {category}"},
      {"\\p{L", "needs {category}"},
      {"(?i:strasse)", "'st' is not supported"},
      {"(?i:as(?:s))", "a group is not supported where case is ignored"},
      {"(?i:\u00e4)", "only ASCII"},
      {"(?i:.)", "only ASCII"},
      {"(?i:[a])", "a class is not supported"},
      {"(?i:\\s)", "where case is ignored"},
      {"\xFF", "not UTF-8"},
      {"a\xE4", "not UTF-8"},
      {"[z-a]", "out of order"},
      {"a{70000}", "too big"},
      {"", "1 to 10000"},
  };
  for (const auto& [refused_pattern, words] : refused) {
    const auto& pattern = refused_pattern;  // clang 14 captures no structured bindings
    CAPTURE(pattern);
    CHECK_THROWS_WITH_AS(Regex{pattern}, doctest::Contains(words), std::runtime_error);
  }
  CHECK_THROWS_WITH(Regex("a\\qb"), "Regex: 'a\\qb' at offset 1: '\\q' is not supported");
}

TEST_CASE("regex: a pattern that backtracks without end is an error, a long run is not") {
  CHECK_THROWS_WITH_AS(cut("(?:a|aa)+$", std::string(60, 'a') + "c"), doctest::Contains("limit"), std::runtime_error);
  const std::string spaces(3'000'000, ' ');
  CHECK(cut("\\s*[\r\n]+|\\s+(?!\\S)|\\s+", spaces + "x").size() == 3);
  CHECK(cut("(?:a|b)+", std::string(1'000'000, 'a')).size() == 1);  // beyond the JIT's stack
}
