// SPDX-License-Identifier: MIT
/// \file
/// The alphabet in which a byte-level vocabulary is written: one printable letter for each of the 256 bytes.
///
/// A byte whose Latin-1 character is visible (! to ~, U+00A1 to U+00AC, U+00AE to U+00FF) stands for itself; the other
/// 68, in rising order, are written U+0100, U+0101, ...: a space is U+0120, a line feed U+010A.
#pragma once
#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace dsv3 {

/// The letter of each byte.
const std::array<char32_t, 256>& byte_letters();

/// The 256 bytes in rising order of their letters: the order in which a fresh vocabulary numbers them.
std::array<unsigned char, 256> bytes_by_letter();

/// Bytes spelled in the alphabet, as UTF-8.
std::string spell(std::string_view bytes);

/// The bytes that `letters` spells; nothing if it holds a character outside the alphabet or is no UTF-8.
std::optional<std::string> unspell(std::string_view letters);

}  // namespace dsv3
