// SPDX-License-Identifier: MIT
/// \file
/// Finds added tokens in a text.
#pragma once
#include <bitset>
#include <string_view>
#include <vector>

#include "reference/data/bpe.hpp"

namespace dsv3 {

/// A set of strings with their tokens. A value.
class TokenFinder {
 public:
  struct Found {
    std::size_t begin, size;  ///< size 0: nothing was found, begin is the end of the text
    Token token;
  };

  /// False if the content is there already. Throws std::invalid_argument if it is empty.
  bool add(std::string_view content, Token token);
  /// The leftmost occurrence at `from` or later; of several that begin there the longest.
  Found next(std::string_view text, std::size_t from) const;
  const TextMap<Token>& tokens() const { return tokens_; }

 private:
  TextMap<Token> tokens_;
  std::vector<std::size_t> sizes_;  ///< of the contents, the largest first, each once
  std::bitset<256> first_bytes_;
};

}  // namespace dsv3
