// SPDX-License-Identifier: MIT
#include "reference/data/bigram.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "reference/core/random.hpp"

using namespace dsv3;

namespace {

using Sequences = std::vector<std::vector<Token>>;

/// Ten sequences: nine times 0 1 0 1 0 and `last`.
Sequences alternating(const std::vector<Token>& last) {
  Sequences all(9, {0, 1, 0, 1, 0});
  all.push_back(last);
  return all;
}

}  // namespace

TEST_CASE("bigram: by hand: counts of all sequences, interpolated with the weights") {
  const Bigram bigram(alternating({0, 1, 2}), 4);
  const auto [w0, w1, w2] = bigram.weights();
  // c(0, .) = 18 + 1, all of them 0 1; c(1, .) = 18 times 1 0 and once 1 2; second tokens: 0 18, 1 19, 2 once, N = 38.
  const double bound = 1e-14;  // three terms below 1
  CHECK(std::abs(bigram.probability(0, 1) - (w2 * 1 + w1 * 19 / 38 + w0 / 4)) < bound);
  CHECK(std::abs(bigram.probability(1, 0) - (w2 * 18 / 19 + w1 * 18 / 38 + w0 / 4)) < bound);
  CHECK(std::abs(bigram.probability(1, 2) - (w2 * 1 / 19 + w1 * 1 / 38 + w0 / 4)) < bound);
  CHECK(std::abs(bigram.probability(0, 3) - w0 / 4) < bound);
  CHECK(std::abs(bigram.probability(2, 1) - (w1 * 19 / 38 + w0 / 4) / (w1 + w0)) < bound);  // 2 was never first
}

TEST_CASE("bigram: the probabilities of what can follow add up to 1") {
  const Bigram bigram(alternating({0, 1, 2}), 4);
  for (Token previous = 0; previous < 4; ++previous) {
    double sum = 0;
    for (Token next = 0; next < 4; ++next) sum += bigram.probability(previous, next);
    CHECK(std::abs(sum - 1) < 1e-14);
  }
}

TEST_CASE("bigram: the weights are a maximum of the likelihood of the tenth, with its three imagined pairs") {
  // The sequence left out, under counts of the others: 0 1 and 1 0 have p = (1/4, 1/2, 1), 1 2 has (1/4, 0, 0).
  const Bigram bigram(alternating({0, 1, 0, 1, 0, 1, 2}), 4);
  const auto likelihood = [](double w0, double w1, double w2) {
    return 5 * std::log(w0 / 4 + w1 / 2 + w2) + std::log(w0 / 4) + std::log(w0) + std::log(w1) + std::log(w2);
  };
  const auto [w0, w1, w2] = bigram.weights();
  CHECK(std::abs(w0 + w1 + w2 - 1) < 1e-14);
  const double best = likelihood(w0, w1, w2);
  for (const double step : {-0.02, -0.005, 0.005, 0.02}) {
    CHECK(likelihood(w0 + step, w1 - step, w2) < best);
    CHECK(likelihood(w0 + step, w1, w2 - step) < best);
    CHECK(likelihood(w0, w1 + step, w2 - step) < best);
  }
}

TEST_CASE("bigram: a pair whose first token was not counted says nothing about the weights") {
  CHECK(Bigram(alternating({0, 1, 0, 1, 2}), 4).weights() == Bigram(alternating({0, 1, 0, 1, 2, 3}), 4).weights());
  CHECK(Bigram(alternating({0, 1, 0, 1, 2}), 4).weights() != Bigram(alternating({0, 1, 0, 1, 2, 0, 2}), 4).weights());
}

TEST_CASE("bigram: the loss is the mean of -log P; pairs across sequences do not count") {
  const Bigram bigram(alternating({0, 1, 2}), 4);
  const double expected =
      -(std::log(bigram.probability(0, 1)) + std::log(bigram.probability(1, 3)) + std::log(bigram.probability(3, 2))) /
      3;
  CHECK(std::abs(bigram.mean_loss(Sequences{{0, 1}, {}, {2}, {1, 3, 2}}) - expected) < 1e-14);
  CHECK_THROWS_AS(bigram.mean_loss(Sequences{{0}, {1}}), std::invalid_argument);
}

TEST_CASE(
    "bigram: text drawn from a bigram chain is predicted at the chain's entropy, shuffled text at the unigram's") {
  // From t to t+1 (mod 8) with chance 0.9, else anywhere: entropy of the next token below.
  Random random(4);
  const auto draw = [&](int count) {
    Sequences all(count);
    Token t = 0;
    for (auto& s : all)
      for (int i = 0; i < 200; ++i)
        s.push_back(t = random.uniform() < 0.9 ? (t + 1) % 8 : static_cast<Token>(random.below(8)));
    return all;
  };
  const Sequences training = draw(200), test = draw(50);
  const Bigram bigram(training, 8);
  const double p = 0.9 + 0.1 / 8, q = 0.1 / 8, entropy = -p * std::log(p) - 7 * q * std::log(q);
  CHECK(std::abs(bigram.mean_loss(test) - entropy) < 0.03);  // 9950 pairs, deviation of -log P about 1.2: 0.012 each
  CHECK(bigram.weights()[2] > 0.9);
}

TEST_CASE("bigram: what cannot be is refused") {
  CHECK_THROWS_AS(Bigram(Sequences(9, {0, 1}), 2), std::invalid_argument);
  CHECK_THROWS_AS(Bigram(Sequences(10), 2), std::invalid_argument);
  CHECK_THROWS_WITH_AS(Bigram(alternating({0, 4}), 4), doctest::Contains("token 4; 0 to 3 is needed"),
                       std::invalid_argument);
  CHECK_THROWS_AS(Bigram(alternating({0, -1}), 4), std::invalid_argument);
  const Bigram bigram(alternating({0, 1}), 4);
  CHECK_THROWS_AS(bigram.probability(0, 4), std::invalid_argument);
  CHECK_THROWS_AS(bigram.mean_loss(Sequences{{0, 9}}), std::invalid_argument);
}
