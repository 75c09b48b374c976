// SPDX-License-Identifier: MIT
/// \file
/// The tokenizer: byte-level byte-pair encoding behind a pre-tokenizer, section 4.1. Text and bytes in, tokens out, and
/// exactly back.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "reference/data/bpe.hpp"
#include "reference/data/pre_tokenizer.hpp"
#include "reference/data/token_finder.hpp"

namespace dsv3 {

/// Names of the special tokens in the released tokenizer.
inline constexpr std::string_view begin_token = "<｜begin▁of▁sentence｜>", end_token = "<｜end▁of▁sentence｜>";
inline constexpr std::string_view fim_hole_token = "<｜fim▁hole｜>", fim_begin_token = "<｜fim▁begin｜>",
                                  fim_end_token = "<｜fim▁end｜>";

/// A token that is found in the text as it stands, before the pre-tokenizer sees the rest.
struct AddedToken {
  Token token;
  std::string content;
  bool special = true;      ///< marks structure: decode() can leave it out
  bool normalized = false;  ///< sought only in what the others leave
  friend bool operator==(const AddedToken&, const AddedToken&) = default;
};

/// All that a tokenizer is, as data.
struct TokenizerData {
  std::vector<std::string> vocabulary;  ///< of token 0, 1, ...: its bytes, spelt in the alphabet of byte_level.hpp
  std::vector<Merge> merges;            ///< in order of rank
  bool ignore_merges = false;           ///< a piece that is in the vocabulary is that token, whatever the merges say
  std::vector<SplitRule> splits;
  std::vector<AddedToken> added;  ///< in the vocabulary under the same token, or numbered on from its end
  friend bool operator==(const TokenizerData&, const TokenizerData&) = default;
};

/// A value; const member functions are safe to call from several threads.
class Tokenizer {
 public:
  /// Throws std::runtime_error if the parts do not fit together: a byte without a token, a merge that does not spell
  /// its result, the same text under two tokens, a pattern that Regex refuses.
  explicit Tokenizer(TokenizerData data);

  /// The tokens of any bytes, UTF-8 or not: decode(encode(text)) == text. Added tokens that stand in the text become
  /// their token: the leftmost first, of several at one place the longest. No token is put before or after.
  std::vector<Token> encode(std::string_view text) const;
  /// The same without added tokens: `<｜end▁of▁sentence｜>` in the text is text. For text from outside.
  std::vector<Token> encode_ordinary(std::string_view text) const;

  /// The bytes of the tokens, one after the other. Throws std::invalid_argument for a token that is not there.
  std::string decode(std::span<const Token> tokens, bool skip_special = false) const;
  /// The bytes of one token: a part of a character perhaps.
  const std::string& bytes(Token token) const;

  Token vocab_size() const { return static_cast<Token>(bytes_.size()); }  ///< tokens are 0 .. vocab_size() - 1
  /// The added token with this content, if there is one.
  std::optional<Token> find_added(std::string_view content) const;
  /// The same; throws std::runtime_error naming the token where there is none.
  Token added(std::string_view content) const;
  bool is_special(Token token) const { return special_[token]; }

  const TokenizerData& data() const { return data_; }

 private:
  void encode_piece(std::string_view piece, std::vector<Token>& out) const;
  void encode_rest(std::string_view text, std::vector<Token>& out) const;

  TokenizerData data_;
  PreTokenizer pre_tokenizer_;
  Bpe bpe_;
  std::vector<std::string> bytes_;  ///< of each token
  std::vector<bool> special_;       ///< of each token
  TextMap<Token> whole_pieces_;     ///< pieces that are one token: most of a text
  TokenFinder exact_, normalized_;
};

struct TokenizerTraining {
  Token vocab_size = 4096;     ///< special tokens and bytes included
  std::int64_t min_count = 2;  ///< a pair of tokens must occur so often to be merged
  std::vector<std::string> special_tokens = {std::string(begin_token), std::string(end_token),
                                             std::string(fim_hole_token), std::string(fim_begin_token),
                                             std::string(fim_end_token)};  ///< get tokens 0, 1, ...
  std::vector<SplitRule> splits = deepseek_v3_splits();
};

/// Learns a vocabulary from texts: special tokens, the 256 bytes, then the merges of train_bpe(), which documents ties.
/// Depends on the counts of the pieces alone: neither on the order of the texts nor on where they are cut, if at places
/// where the pre-tokenizer cuts. Smaller than vocab_size where the texts have too few pairs.
/// Differs from the report: the random splitting of tokens that join punctuation and line ends is not done (its share
/// is not given).
Tokenizer train_tokenizer(std::span<const std::string_view> texts, const TokenizerTraining& training = {});

}  // namespace dsv3
