// SPDX-License-Identifier: MIT
/// \file
/// The pre-tokenizer cuts a text into pieces; byte-level BPE then merges inside a piece, never across. Section 4.1.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "reference/data/regex.hpp"

namespace dsv3 {

/// Cut before and after each match of the pattern: `Split` with behaviour `Isolated`.
struct SplitRule {
  std::string pattern;
  bool is_regex = true;  ///< false: the pattern is the text itself
  friend bool operator==(const SplitRule&, const SplitRule&) = default;
};

/// The three rules of the released DeepSeek-V3 tokenizer: up to three digits; a run of CJK and kana; then words,
/// punctuation with the line ends after it ("new tokens join punctuation with line breaks"), and white space.
std::vector<SplitRule> deepseek_v3_splits();

/// The rule that `ByteLevel` applies with use_regex: GPT-2's.
SplitRule gpt2_split();

/// Splits by each rule in turn, every rule seeing only one piece of the rule before.
class PreTokenizer {
 public:
  /// Throws std::runtime_error for a pattern that Regex refuses.
  explicit PreTokenizer(std::vector<SplitRule> rules);

  /// The pieces of `text` in order; together they are the text, none is empty. The rules apply to each stretch of
  /// UTF-8; the bytes between two stretches, which are no UTF-8, are one piece.
  std::vector<std::string_view> split(std::string_view text) const;

  const std::vector<SplitRule>& rules() const { return rules_; }

 private:
  void split_utf8(std::string_view text, std::vector<std::string_view>& pieces) const;
  std::vector<SplitRule> rules_;
  std::vector<Regex> regexes_;
};

}  // namespace dsv3
