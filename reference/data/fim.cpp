// SPDX-License-Identifier: MIT
#include "reference/data/fim.hpp"

#include <cmath>
#include <utility>

#include "reference/core/require.hpp"

namespace dsv3 {

FimTokens fim_tokens(const Tokenizer& tokenizer) {
  return {tokenizer.added(fim_begin_token), tokenizer.added(fim_hole_token), tokenizer.added(fim_end_token)};
}

std::vector<Token> fill_in_the_middle(std::span<const Token> document, const FimTokens& tokens, Random& random) {
  const auto places = static_cast<Index>(document.size()) + 1;
  Index first = random.below(places), second = random.below(places);
  if (first > second) std::swap(first, second);
  std::vector<Token> out;
  out.reserve(document.size() + 3);
  const auto put = [&](Token before, std::span<const Token> part) {
    out.push_back(before);
    out.insert(out.end(), part.begin(), part.end());
  };
  put(tokens.begin, document.first(first));
  put(tokens.hole, document.subspan(second));
  put(tokens.end, document.subspan(first, second - first));
  return out;
}

std::vector<bool> choose_for_fim(Index count, double rate, Random& random) {
  require(rate >= 0 && rate <= 1, "choose_for_fim", "rate is ", rate, "; 0 to 1 is needed");
  const auto needed = static_cast<Index>(std::llround(rate * static_cast<double>(count)));
  std::vector<bool> chosen(count);
  Index have = 0;
  for (Index i = 0; i < count; ++i) {  // taken with the chance (still needed) / (still to come)
    chosen[i] = random.below(count - i) < needed - have;
    have += chosen[i];
  }
  return chosen;
}

}  // namespace dsv3
