// SPDX-License-Identifier: MIT
#include "reference/data/tokenizer.hpp"

#include <algorithm>
#include <utility>

#include "reference/core/require.hpp"
#include "reference/data/bpe_trainer.hpp"
#include "reference/data/byte_level.hpp"

namespace dsv3 {

namespace {

template <class... Parts>
void check(bool ok, const Parts&... what) {
  require_world(ok, "Tokenizer", what...);
}

/// The token of each spelling, which must be there once.
TextMap<Token> tokens_by_spelling(const std::vector<std::string>& vocabulary) {
  TextMap<Token> tokens;
  for (const std::string& spelling : vocabulary) {
    const auto token = static_cast<Token>(tokens.size());
    check(!spelling.empty(), "token ", token, " is empty; at least one byte is needed");
    const auto [place, is_new] = tokens.emplace(spelling, token);
    check(is_new, "'", spelling, "' is token ", place->second, " and token ", token, "; one of them is needed");
  }
  return tokens;
}

std::array<Token, 256> tokens_of_bytes(const TextMap<Token>& tokens) {
  std::array<Token, 256> token_of_byte;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string letter = spell(std::string(1, static_cast<char>(byte)));
    const auto found = tokens.find(letter);
    check(found != tokens.end(), "byte ", byte, " ('", letter, "') is not in the vocabulary; all 256 are needed");
    token_of_byte[byte] = found->second;
  }
  return token_of_byte;
}

void check_merges(const TokenizerData& data) {
  const auto spelling = [&](Token t) -> const std::string& {
    check(t >= 0 && t < static_cast<Token>(data.vocabulary.size()), "a merge names token ", t, "; 0 to ",
          data.vocabulary.size() - 1, " are there");
    return data.vocabulary[t];
  };
  for (const Merge& m : data.merges) {
    const std::string joined = spelling(m.left) + spelling(m.right);
    check(joined == spelling(m.merged), "the merge of '", spelling(m.left), "' and '", spelling(m.right), "' gives '",
          spelling(m.merged), "'; '", joined, "' is needed");
  }
}

TokenizerData checked(TokenizerData data) {
  const TextMap<Token> tokens = tokens_by_spelling(data.vocabulary);
  check_merges(data);
  auto next = static_cast<Token>(data.vocabulary.size());
  for (const AddedToken& a : data.added) {
    const auto known = tokens.find(a.content);
    const Token needed = known != tokens.end() ? known->second : next;
    check(a.token == needed, "the added token '", a.content, "' has number ", a.token, "; ", needed,
          known != tokens.end() ? " is needed, as in the vocabulary" : ", the next free one, is needed");
    if (known == tokens.end()) ++next;
  }
  return data;
}

}  // namespace

Tokenizer::Tokenizer(TokenizerData data)
    : data_(checked(std::move(data))),
      pre_tokenizer_(data_.splits),
      bpe_(tokens_of_bytes(tokens_by_spelling(data_.vocabulary)), data_.merges) {
  for (const std::string& spelling : data_.vocabulary) {
    const std::optional<std::string> bytes = unspell(spelling);
    bytes_.push_back(bytes.value_or(spelling));  // no byte-level spelling: an added token, or one that never occurs
    if (!bytes) continue;
    const auto token = static_cast<Token>(bytes_.size() - 1);
    std::vector<Token> merged;
    if (!data_.ignore_merges) bpe_.encode(*bytes, merged);
    if (data_.ignore_merges || merged == std::vector{token}) whole_pieces_.emplace(*bytes, token);
  }
  special_.resize(bytes_.size());
  for (const AddedToken& a : data_.added) {
    if (a.token == vocab_size()) {
      bytes_.push_back(a.content);
      special_.push_back(a.special);
    }
    bytes_[a.token] = a.content;
    special_[a.token] = a.special;
    check(!find_added(a.content), "the added token '", a.content, "' is there twice; once is needed");
    (a.normalized ? normalized_ : exact_).add(a.content, a.token);
  }
}

void Tokenizer::encode_piece(std::string_view piece, std::vector<Token>& out) const {
  const auto whole = whole_pieces_.find(piece);
  if (whole != whole_pieces_.end()) out.push_back(whole->second);
  else bpe_.encode(piece, out);
}

void Tokenizer::encode_rest(std::string_view text, std::vector<Token>& out) const {
  for (const std::string_view piece : pre_tokenizer_.split(text)) encode_piece(piece, out);
}

std::vector<Token> Tokenizer::encode_ordinary(std::string_view text) const {
  std::vector<Token> tokens;
  encode_rest(text, tokens);
  return tokens;
}

std::vector<Token> Tokenizer::encode(std::string_view text) const {
  std::vector<Token> tokens;
  const auto between = [&](const TokenFinder& finder, std::string_view part, const auto& encode_other) {
    for (std::size_t at = 0; at < part.size();) {
      const TokenFinder::Found found = finder.next(part, at);
      encode_other(part.substr(at, found.begin - at));
      if (found.size > 0) tokens.push_back(found.token);
      at = found.begin + found.size;
    }
  };
  between(exact_, text, [&](std::string_view part) {
    between(normalized_, part, [&](std::string_view rest) { encode_rest(rest, tokens); });
  });
  return tokens;
}

const std::string& Tokenizer::bytes(Token token) const {
  require(token >= 0 && token < vocab_size(), "Tokenizer::bytes", "token ", token, "; 0 to ", vocab_size() - 1,
          " are there");
  return bytes_[token];
}

std::string Tokenizer::decode(std::span<const Token> tokens, bool skip_special) const {
  std::string text;
  for (const Token token : tokens) {
    const std::string& more = bytes(token);
    if (!(skip_special && special_[token])) text += more;
  }
  return text;
}

std::optional<Token> Tokenizer::find_added(std::string_view content) const {
  for (const TokenFinder* finder : {&exact_, &normalized_}) {
    const auto found = finder->tokens().find(content);
    if (found != finder->tokens().end()) return found->second;
  }
  return {};
}

Token Tokenizer::added(std::string_view content) const {
  const std::optional<Token> token = find_added(content);
  check(token.has_value(), "'", content, "' is no added token of this tokenizer; it is needed");
  return *token;
}

Tokenizer train_tokenizer(std::span<const std::string_view> texts, const TokenizerTraining& training) {
  const PreTokenizer pre_tokenizer(training.splits);
  PieceCounts counts;
  for (const std::string_view text : texts) {
    for (const std::string_view piece : pre_tokenizer.split(text)) {
      const auto known = counts.find(piece);
      if (known != counts.end()) ++known->second;
      else counts.emplace(piece, 1);
    }
  }
  const auto num_special = static_cast<Token>(training.special_tokens.size());
  LearntBpe learnt = train_bpe(counts, {num_special, training.vocab_size, training.min_count});

  TokenizerData data;
  data.splits = training.splits;
  data.merges = std::move(learnt.merges);
  for (const std::string& content : training.special_tokens) {
    data.added.push_back({static_cast<Token>(data.vocabulary.size()), content});
    data.vocabulary.push_back(content);
  }
  for (const std::string& bytes : learnt.tokens) data.vocabulary.push_back(spell(bytes));
  return Tokenizer(std::move(data));
}

}  // namespace dsv3
