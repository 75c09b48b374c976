// SPDX-License-Identifier: MIT
#include "reference/data/byte_level.hpp"

#include <algorithm>
#include <numeric>

#include "reference/data/utf8.hpp"

namespace dsv3 {

namespace {

constexpr char32_t num_letters = 0x100 + 68;  // the last letter is U+0143

constexpr std::array<char32_t, 256> make_letters() {
  std::array<char32_t, 256> letters{};
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool visible = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    letters[byte] = visible ? byte : next++;
  }
  return letters;
}

/// The byte of each letter; -1 where a code point below num_letters is none.
std::array<int, num_letters> make_bytes() {
  std::array<int, num_letters> bytes;
  bytes.fill(-1);
  for (int byte = 0; byte < 256; ++byte) bytes[byte_letters()[byte]] = byte;
  return bytes;
}

}  // namespace

const std::array<char32_t, 256>& byte_letters() {
  static constexpr std::array<char32_t, 256> letters = make_letters();
  return letters;
}

std::array<unsigned char, 256> bytes_by_letter() {
  std::array<unsigned char, 256> order;
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [](unsigned char a, unsigned char b) { return byte_letters()[a] < byte_letters()[b]; });
  return order;
}

std::string spell(std::string_view bytes) {
  std::string letters;
  for (const char byte : bytes) append_utf8(letters, byte_letters()[static_cast<unsigned char>(byte)]);
  return letters;
}

std::optional<std::string> unspell(std::string_view letters) {
  static const std::array<int, num_letters> byte_of = make_bytes();
  std::string bytes;
  while (!letters.empty()) {
    const Utf8Character c = first_character(letters);
    if (c.bytes == 0 || c.code >= num_letters || byte_of[c.code] < 0) return {};
    bytes.push_back(static_cast<char>(byte_of[c.code]));
    letters.remove_prefix(c.bytes);
  }
  return bytes;
}

}  // namespace dsv3
