// SPDX-License-Identifier: MIT
/// \file
/// Fill-in-the-middle: some documents are rearranged so that the model learns to write what lies between two texts.
/// Section 4.1.
#pragma once
#include <span>
#include <vector>

#include "reference/core/random.hpp"
#include "reference/data/tokenizer.hpp"

namespace dsv3 {

struct FimTokens {
  Token begin, hole, end;
};

/// Those of the tokenizer, by the names of tokenizer.hpp. Throws std::runtime_error naming one that it lacks.
FimTokens fim_tokens(const Tokenizer& tokenizer);

/// Prefix-suffix-middle (PSM): `begin prefix hole suffix end middle`. The end-of-sentence token is not put here: every
/// document gets it when it is packed. The document is cut before two of its tokens or at its ends; every pair of
/// places is equally likely (one place twice half as likely), so any of the three parts can be empty.
/// Differs from the report: it does not say whether characters or tokens are cut; here a cut lies between tokens, so a
/// document grows by exactly three tokens.
std::vector<Token> fill_in_the_middle(std::span<const Token> document, const FimTokens& tokens, Random& random);

/// Which of `count` documents to rearrange: round(rate count) of them, each set of so many equally likely.
/// Differs from the report: there each document has this chance; a fixed number keeps the length of an epoch.
/// Throws std::invalid_argument unless 0 <= rate <= 1.
std::vector<bool> choose_for_fim(Index count, double rate, Random& random);

}  // namespace dsv3
