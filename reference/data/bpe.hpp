// SPDX-License-Identifier: MIT
/// \file
/// Byte-pair encoding of one piece of text: its bytes, merged pair by pair in the order in which the merges were
/// learnt.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "reference/data/token.hpp"

namespace dsv3 {

/// Two neighbours become one token. A merge's rank is its place in the list: lower ranks first.
struct Merge {
  Token left, right, merged;
  friend bool operator==(const Merge&, const Merge&) = default;
};

/// A pair of tokens as one key.
constexpr std::uint64_t pair_key(Token left, Token right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

/// Lets a table of strings be asked with a string_view.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};
template <class Value>
using TextMap = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;

/// The merges of a vocabulary. A value; `encode` is const and safe to call from several threads.
class Bpe {
 public:
  /// `token_of_byte`: the token of each byte. `merges` in order of rank, each pair once.
  Bpe(const std::array<Token, 256>& token_of_byte, const std::vector<Merge>& merges);

  /// Adds the tokens of a piece: its bytes, then again and again the neighbours of the lowest rank merged, the leftmost
  /// first, until no pair has a merge. n log n steps for n bytes.
  void encode(std::string_view piece, std::vector<Token>& out) const;

 private:
  struct Ranked {
    std::int32_t rank;
    Token merged;
  };
  const Ranked* find(Token left, Token right) const;

  std::array<Token, 256> token_of_byte_;
  std::unordered_map<std::uint64_t, Ranked> merges_;
};

}  // namespace dsv3
