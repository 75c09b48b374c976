// SPDX-License-Identifier: MIT
#include "reference/data/byte_level.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

using namespace dsv3;

TEST_CASE("byte level: known letters") {
  CHECK(spell(" the\n") == "\u0120the\u010a");
  CHECK(spell(std::string_view("\0\xC4\x80", 3)) == "\u0100\u00c4\u0122");
  CHECK(spell("\xAD\x7F") == "\u0143\u0121");
  CHECK(spell("~!\xFF") == "~!\u00ff");
}

TEST_CASE("byte level: 256 letters, none twice, all come back") {
  std::set<std::string> letters;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string one(1, static_cast<char>(byte));
    letters.insert(spell(one));
    CHECK(unspell(spell(one)) == one);
  }
  CHECK(letters.size() == 256);
}

TEST_CASE("byte level: the order of the letters begins with ! and ends with the soft hyphen") {
  const auto order = bytes_by_letter();
  CHECK(order[0] == '!');
  CHECK(order[93] == '~');
  CHECK(order[94] == 0xA1);
  CHECK(order[188] == 0);
  CHECK(order[255] == 0xAD);
  CHECK(std::set<int>(order.begin(), order.end()).size() == 256);
}

TEST_CASE("byte level: what is not in the alphabet spells nothing") {
  for (const char* text : {"a b", "\n", "\u00ad", "\u0144", "\u4e2d", "\x80", "a\x80"}) CHECK(!unspell(text));
  CHECK(unspell("") == "");
}
