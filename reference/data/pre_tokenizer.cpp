// SPDX-License-Identifier: MIT
#include "reference/data/pre_tokenizer.hpp"

#include <utility>

#include "reference/data/utf8.hpp"

namespace dsv3 {

namespace {

/// Bytes at the start of `text` that begin no UTF-8 character.
std::size_t no_utf8_prefix(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size() && first_character(text.substr(at)).bytes == 0) ++at;
  return at;
}

}  // namespace

std::vector<SplitRule> deepseek_v3_splits() {
  return {{R"(\p{N}{1,3})"},
          {"[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"},
          {"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
           " ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"}};
}

SplitRule gpt2_split() { return {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"}; }

PreTokenizer::PreTokenizer(std::vector<SplitRule> rules) : rules_(std::move(rules)) {
  for (const SplitRule& rule : rules_)
    regexes_.push_back(rule.is_regex ? Regex(rule.pattern) : Regex::literal(rule.pattern));
}

std::vector<std::string_view> PreTokenizer::split(std::string_view text) const {
  std::vector<std::string_view> pieces;
  while (!text.empty()) {
    const std::size_t good = utf8_prefix(text);
    if (good > 0) split_utf8(text.substr(0, good), pieces);
    text.remove_prefix(good);
    const std::size_t bad = no_utf8_prefix(text);
    if (bad > 0) pieces.push_back(text.substr(0, bad));
    text.remove_prefix(bad);
  }
  return pieces;
}

void PreTokenizer::split_utf8(std::string_view text, std::vector<std::string_view>& pieces) const {
  std::vector<std::string_view> now{text}, next;
  for (const Regex& regex : regexes_) {
    next.clear();
    for (const std::string_view piece : now) regex.cut(piece, next);
    now.swap(next);
  }
  pieces.insert(pieces.end(), now.begin(), now.end());
}

}  // namespace dsv3
