// SPDX-License-Identifier: MIT
/// \file
/// The bigram baseline: what can be predicted of a token from the one before it alone. A model that has learnt anything
/// about context beats it.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "reference/core/real.hpp"
#include "reference/data/token.hpp"

namespace dsv3 {

/// P(b | a) = w_2 c(a, b)/c(a) + w_1 c(b)/N + w_0 /V: bigram, unigram and uniform, interpolated (Jelinek-Mercer).
/// c(a) counts a as a first token, c(b) and N count second tokens. After a token never seen first, P(b | a) is
/// (w_1 c(b)/N + w_0 /V) / (w_1 + w_0). The sum over b is 1, and no token has probability 0.
/// The weights maximise the likelihood of a tenth of the training sequences (number 9, 19, ...) under counts of the
/// other nine (deleted interpolation; expectation maximisation, 50 rounds from equal weights), where one more pair is
/// imagined for each of the three parts, so that no weight is 0. Pairs whose first token was not counted say nothing
/// about w_2 and are left out. Then all sequences are counted. Numerics contract: double; sums in the order of the
/// tokens.
class Bigram {
 public:
  /// `sequences`: pairs are counted within each, so a border between documents that shall count stands inside one.
  /// Throws std::invalid_argument if there are fewer than 10 sequences, no pair of tokens in the nine tenths, or a
  /// token outside 0 .. vocab_size - 1.
  Bigram(std::span<const std::vector<Token>> sequences, Token vocab_size);

  double probability(Token previous, Token next) const;       ///< P(next | previous)
  std::array<double, 3> weights() const { return weights_; }  ///< w_0, w_1, w_2

  /// Mean of -log P (nats) over the pairs of neighbours in each sequence. The perplexity is exp of it.
  /// Throws std::invalid_argument if there is no pair.
  double mean_loss(std::span<const std::vector<Token>> sequences) const;

 private:
  void check(Token token) const;
  void count(std::span<const Token> sequence);
  std::array<double, 3> parts(Token previous, Token next) const;
  void fit_weights(std::span<const std::vector<Token>> deleted);

  Token vocab_size_;
  std::array<double, 3> weights_{1. / 3, 1. / 3, 1. / 3};
  std::int64_t total_ = 0;                                 ///< N
  std::vector<std::int64_t> first_, second_;               ///< c(a), c(b)
  std::unordered_map<std::uint64_t, std::int64_t> pairs_;  ///< c(a, b)
};

}  // namespace dsv3
