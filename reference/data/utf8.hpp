// SPDX-License-Identifier: MIT
/// \file
/// UTF-8 as RFC 3629 defines it: no surrogates, nothing above U+10FFFF, no character longer than it needs to be.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace dsv3 {

/// One character: its code point and how many bytes it takes. bytes is 0 where the text is empty or not UTF-8.
struct Utf8Character {
  char32_t code = 0;
  std::size_t bytes = 0;
};

/// The character at the start of `text`.
Utf8Character first_character(std::string_view text);

/// Bytes of the longest prefix that is UTF-8: text.size() if all of it is, else the offset of the first wrong byte.
std::size_t utf8_prefix(std::string_view text);

/// Adds the UTF-8 of `code`. Throws std::invalid_argument for a surrogate or above U+10FFFF.
void append_utf8(std::string& out, char32_t code);

}  // namespace dsv3
