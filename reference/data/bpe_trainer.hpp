// SPDX-License-Identifier: MIT
/// \file
/// Learns the merges of byte-pair encoding from counted pieces of text.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "reference/data/bpe.hpp"

namespace dsv3 {

/// Pieces of text and how often each occurs.
using PieceCounts = TextMap<std::int64_t>;

struct BpeTraining {
  Token first_token = 0;       ///< the 256 bytes get first_token .. first_token + 255, in the order of their letters
  Token num_tokens = 0;        ///< tokens in all, those below first_token included
  std::int64_t min_count = 2;  ///< a pair must occur so often
};

struct LearntBpe {
  std::vector<std::string> tokens;  ///< the bytes of token first_token + i
  std::vector<Merge> merges;        ///< in order of rank
};

/// Merges the most frequent pair of neighbours, everywhere, until there are num_tokens tokens or no pair occurs
/// min_count times (then there are fewer tokens). Equal counts: the pair with the lower left token, then the lower
/// right token. Overlapping pairs (aaa) are counted at every place and merged from the left. No two tokens have the
/// same bytes: wherever these bytes end up as one token, the merges inside them were the same, in the same order.
///
/// Depends on the counts alone, not on the order of the pieces. With the alphabet in this order and this tie rule the
/// result equals that of the `tokenizers` library's BpeTrainer.
/// Throws std::invalid_argument if num_tokens is below first_token + 256 or min_count below 1.
LearntBpe train_bpe(const PieceCounts& pieces, const BpeTraining& training);

}  // namespace dsv3
