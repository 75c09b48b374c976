// SPDX-License-Identifier: MIT
#include "reference/data/bigram.hpp"

#include <cmath>

#include "reference/core/require.hpp"
#include "reference/data/bpe.hpp"

namespace dsv3 {

namespace {

/// f(previous, next) for all neighbours.
template <class F>
void for_each_pair(std::span<const std::vector<Token>> sequences, const F& f) {
  for (const std::vector<Token>& sequence : sequences)
    for (std::size_t i = 1; i < sequence.size(); ++i) f(sequence[i - 1], sequence[i]);
}

}  // namespace

Bigram::Bigram(std::span<const std::vector<Token>> sequences, Token vocab_size)
    : vocab_size_(vocab_size), first_(vocab_size), second_(vocab_size) {
  require(sequences.size() >= 10, "Bigram", "there are ", sequences.size(), " sequences; at least 10 are needed");
  std::vector<std::vector<Token>> deleted;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    if (i % 10 == 9) deleted.push_back(sequences[i]);
    else count(sequences[i]);
  }
  require(total_ > 0, "Bigram", "nine tenths of the sequences hold no pair of tokens; at least one is needed");
  fit_weights(deleted);
  for (const std::vector<Token>& sequence : deleted) count(sequence);
}

void Bigram::check(Token token) const {
  require(token >= 0 && token < vocab_size_, "Bigram", "token ", token, "; 0 to ", vocab_size_ - 1, " is needed");
}

void Bigram::count(std::span<const Token> sequence) {
  for (const Token token : sequence) check(token);
  for (std::size_t i = 1; i < sequence.size(); ++i) {
    ++first_[sequence[i - 1]];
    ++second_[sequence[i]];
    ++pairs_[pair_key(sequence[i - 1], sequence[i])];
    ++total_;
  }
}

/// 1/V, c(b)/N, c(a, b)/c(a); the last is 0 where c(a) is.
std::array<double, 3> Bigram::parts(Token previous, Token next) const {
  const auto found = pairs_.find(pair_key(previous, next));
  const double together = found == pairs_.end() ? 0 : static_cast<double>(found->second);
  const auto first = static_cast<double>(first_[previous]);
  return {1. / vocab_size_, static_cast<double>(second_[next]) / static_cast<double>(total_),
          first > 0 ? together / first : 0};
}

double Bigram::probability(Token previous, Token next) const {
  check(previous);
  check(next);
  const std::array<double, 3> p = parts(previous, next);
  const double lower = weights_[0] * p[0] + weights_[1] * p[1];
  return first_[previous] > 0 ? lower + weights_[2] * p[2] : lower / (weights_[0] + weights_[1]);
}

/// E: how much of each pair's probability each part gave. M: the weights are those shares, over all pairs.
void Bigram::fit_weights(std::span<const std::vector<Token>> deleted) {
  std::vector<std::array<double, 3>> pairs;
  for_each_pair(deleted, [&](Token previous, Token next) {
    check(previous);
    check(next);
    if (first_[previous] > 0) pairs.push_back(parts(previous, next));
  });
  for (int round = 0; round < 50; ++round) {
    std::array<double, 3> share{1, 1, 1};
    for (const std::array<double, 3>& p : pairs) {
      const double sum = weights_[0] * p[0] + weights_[1] * p[1] + weights_[2] * p[2];
      for (int k = 0; k < 3; ++k) share[k] += weights_[k] * p[k] / sum;
    }
    for (int k = 0; k < 3; ++k) weights_[k] = share[k] / (static_cast<double>(pairs.size()) + 3);
  }
}

double Bigram::mean_loss(std::span<const std::vector<Token>> sequences) const {
  double sum = 0, num_pairs = 0;
  for_each_pair(sequences, [&](Token previous, Token next) {
    sum -= std::log(probability(previous, next));
    ++num_pairs;
  });
  require(num_pairs > 0, "Bigram::mean_loss", "no pair of tokens; at least one is needed");
  return sum / num_pairs;
}

}  // namespace dsv3
