// SPDX-License-Identifier: MIT
/// \file
/// Writing on: one token after the other from the model's distribution.
#pragma once
#include "reference/core/random.hpp"
#include "reference/serving/inference.hpp"

namespace dsv3 {

struct Sampling {
  double temperature = 1;  ///< 0: always the most probable token, the lowest id of equals
  std::uint64_t seed = 1;
  Index num_tokens = 0;  ///< only tokens 0 .. num_tokens-1 are drawn: a tokenizer may have fewer than V; 0: all
};

/// A token drawn from softmax(logits / temperature), computed in double by inversion of the cumulative sum in the order
/// of the ids. Throws std::invalid_argument for a temperature that is negative or not finite.
Token sample(const ConstView& logits, double temperature, Random& random);

/// For models whose tokenizer has no token that ends a text.
inline constexpr Token no_end = -1;

/// Up to `max_new` tokens after `prompt`, ending early after `end_token` (which is not returned). `emit` sees each
/// token as it is made. Throws std::invalid_argument for an empty prompt, for more `num_tokens` than the model has, and
/// where prompt and new tokens exceed the positions the model has: nothing is cut off silently.
std::vector<Token> generate(const Inference& model, std::span<const Token> prompt, Index max_new, Token end_token,
                            const Sampling& sampling, const std::function<void(Token)>& emit = {});

}  // namespace dsv3
