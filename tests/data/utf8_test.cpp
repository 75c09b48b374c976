// SPDX-License-Identifier: MIT
#include "reference/data/utf8.hpp"

#include <doctest/doctest.h>

#include <array>
#include <stdexcept>

using namespace dsv3;

namespace {

using Byte = unsigned char;

bool within(Byte b, Byte low, Byte high) { return b >= low && b <= high; }

/// The twin: Table 3-7 of the Unicode standard, "Well-Formed UTF-8 Byte Sequences", row by row. Bytes of the first
/// character of three bytes; 0 if they do not begin with one that ends within them.
std::size_t well_formed(Byte a, Byte b, Byte c) {
  if (within(a, 0x00, 0x7F)) return 1;
  if (within(a, 0xC2, 0xDF)) return within(b, 0x80, 0xBF) ? 2 : 0;
  if (!within(c, 0x80, 0xBF)) return 0;
  if (a == 0xE0) return within(b, 0xA0, 0xBF) ? 3 : 0;
  if (within(a, 0xE1, 0xEC) || within(a, 0xEE, 0xEF)) return within(b, 0x80, 0xBF) ? 3 : 0;
  if (a == 0xED) return within(b, 0x80, 0x9F) ? 3 : 0;
  return 0;
}

}  // namespace

TEST_CASE("utf8: every code point comes back, in its shortest form") {
  int wrong = 0;
  for (char32_t code = 0; code <= 0x10FFFF; ++code) {
    if (code >= 0xD800 && code <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, code);
    const Utf8Character c = first_character(text);
    const std::size_t bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    wrong += c.code != code || c.bytes != bytes || text.size() != bytes;
  }
  CHECK(wrong == 0);
}

TEST_CASE("utf8: all sequences of three bytes are judged as the standard's table judges them") {
  int wrong = 0;
  for (unsigned n = 0; n < 1u << 24; ++n) {
    const std::array<Byte, 3> b = {static_cast<Byte>(n >> 16), static_cast<Byte>(n >> 8), static_cast<Byte>(n)};
    wrong += first_character({reinterpret_cast<const char*>(b.data()), 3}).bytes != well_formed(b[0], b[1], b[2]);
  }
  CHECK(wrong == 0);
}

TEST_CASE("utf8: four bytes reach from U+10000 to U+10FFFF") {
  CHECK(first_character("\xF0\x90\x80\x80").code == 0x10000);
  CHECK(first_character("\xF0\x8F\xBF\xBF").bytes == 0);  // U+FFFF, too long
  CHECK(first_character("\xF4\x8F\xBF\xBF").code == 0x10FFFF);
  CHECK(first_character("\xF4\x90\x80\x80").bytes == 0);
  CHECK(first_character("\xF8\x88\x80\x80\x80").bytes == 0);
  CHECK(first_character("\xF0\x90\x80").bytes == 0);
  CHECK(first_character("").bytes == 0);
}

TEST_CASE("utf8: the prefix ends at the first wrong byte, at the start of a broken character") {
  CHECK(utf8_prefix("") == 0);
  CHECK(utf8_prefix("h\u00e9\u4e2d") == 6);
  CHECK(utf8_prefix("ab\xFFz") == 2);
  CHECK(utf8_prefix("ab\xE4\xB8") == 2);
  CHECK(utf8_prefix("ab\xED\xA0\x80") == 2);  // a surrogate
}

TEST_CASE("utf8: what is no code point is not written") {
  std::string text;
  CHECK_THROWS_AS(append_utf8(text, 0xD800), std::invalid_argument);
  CHECK_THROWS_AS(append_utf8(text, 0x110000), std::invalid_argument);
  CHECK(text.empty());
}
