// SPDX-License-Identifier: MIT
/// \file
/// The regular expressions of a pre-tokenizer, matched by PCRE2 with the meaning the `tokenizers` library (Oniguruma,
/// Ruby syntax) gives them.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace dsv3 {

/// The pattern in PCRE2's syntax. Accepted is the subset that both engines read alike, or that can be spelled so:
///  - literals, `.`, `|`, groups `( )`, `(?: )`, `(?= )`, `(?! )`, and `(?i: )` around ASCII text that no character
///    outside ASCII folds to;
///  - classes `[ ]` and `[^ ]` of characters, ranges and escapes, without nested classes and `&&`;
///  - escapes `\r \n \t \f`, `\s \S \d \D`, `\p{..} \P{..}` with a general category, and escaped punctuation;
///  - quantifiers `* + ?`, also lazy and possessive, and `{n} {n,} {n,m}`; `$`, the end of a line or of the text.
/// White space (`\s`) is what Unicode lists as White_Space, for which PCRE2's own `\s` takes U+180E as well.
/// Characters that are newer than PCRE2's tables (10.42 in Debian 12: Unicode 14) count as unassigned, where a
/// `tokenizers` library with newer tables may see a letter.
/// Throws std::runtime_error naming what it is that is not accepted, and its offset.
std::string pcre2_syntax(std::string_view pattern);

/// A compiled pattern; a value, safe to use from several threads at once.
class Regex {
 public:
  /// Throws std::runtime_error for a pattern that pcre2_syntax() or PCRE2 refuses.
  explicit Regex(std::string_view pattern);
  /// Matches exactly this text.
  static Regex literal(std::string_view text);

  /// Adds the pieces of `text` (UTF-8) that lie between the beginnings and ends of all matches, in order: `Isolated`
  /// splitting. No piece is empty, together they are the text. Matches are sought from left to right without overlap;
  /// after an empty match the search goes on one character further.
  /// Throws std::runtime_error if matching takes more than some 1000 steps for each byte.
  void cut(std::string_view text, std::vector<std::string_view>& pieces) const;

 private:
  Regex(std::string_view pcre2_pattern, unsigned options);
  std::string pattern_;               ///< in PCRE2's syntax, for messages
  std::shared_ptr<const void> code_;  ///< pcre2_code
};

}  // namespace dsv3
