// SPDX-License-Identifier: MIT
#include "reference/serving/generate.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "tests/support/compare.hpp"
#include "tests/support/models.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity(), not_a_number = std::numeric_limits<double>::quiet_NaN();

Token greedy(const Matrix& logits) {
  Random random(1);
  return sample(logits, 0, random);
}

/// How often each token comes in `draws` draws.
std::vector<Index> histogram(const Matrix& logits, double temperature, Index draws) {
  Random random(7);
  std::vector<Index> counts(static_cast<std::size_t>(logits.cols()));
  for (Index i = 0; i < draws; ++i) ++counts[static_cast<std::size_t>(sample(logits, temperature, random))];
  return counts;
}

/// sum (observed - expected)^2 / expected over the tokens of probability softmax(logits / temperature).
double chi_square(const std::vector<Index>& counts, const std::vector<double>& logits, double temperature) {
  double sum = 0, draws = 0, distance = 0;
  for (const double logit : logits) sum += std::exp(logit / temperature);
  for (const Index count : counts) draws += static_cast<double>(count);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double expected = draws * std::exp(logits[i] / temperature) / sum;
    distance += (static_cast<double>(counts[i]) - expected) * (static_cast<double>(counts[i]) - expected) / expected;
  }
  return distance;
}

struct Example {
  ModelConfig config = micro_config();
  ModelWeights<Matrix> weights = random_weights(config, 3);
  Inference model{config, source_of(weights)};
  std::vector<Token> prompt = {5, 17, 2, 30};
};

/// Greedy text by feeding the whole sequence anew for every token.
std::vector<Token> slow_greedy(const Example& e, Index max_new) {
  std::vector<Token> all = e.prompt;
  for (Index i = 0; i < max_new; ++i) {
    SequenceState state = e.model.start();
    const Matrix logits = e.model.logits(e.model.extend(state, all, AttentionForm::naive));
    Index best = 0;
    logits.row(logits.rows() - 1).maxCoeff(&best);
    all.push_back(static_cast<Token>(best));
  }
  return {all.begin() + std::ssize(e.prompt), all.end()};
}

}  // namespace

TEST_CASE("sample: temperature 0 takes the largest logit, of equal ones the lowest id") {
  CHECK(greedy(matrix({{1, 3, 2}})) == 1);
  CHECK(greedy(matrix({{1, 3, 3, 3, 2}})) == 1);
  CHECK(greedy(matrix({{-5, -7}})) == 0);
  Matrix wide = Matrix::Zero(1, 67);  // a vectorised search sees several lanes
  wide(0, 21) = wide(0, 37) = wide(0, 66) = 4;
  CHECK(greedy(wide) == 21);
  CHECK(greedy(matrix({{-inf, 0, -inf}})) == 1);
}

TEST_CASE("sample: tokens come as often as softmax(logits / temperature) says") {
  const std::vector<double> logits = {0.5, -1, 2, 0, 1.5, -0.5};
  const Matrix row = matrix({{0.5, -1, 2, 0, 1.5, -0.5}});
  for (const double temperature : {0.5, 1.0, 2.0}) {
    CAPTURE(temperature);
    const std::vector<Index> counts = histogram(row, temperature, 20000);
    // Chi-square of 5 degrees of freedom is above 20.5 once in a thousand; the draws are always the same ones.
    CHECK(chi_square(counts, logits, temperature) < 20.5);
    CHECK(chi_square(counts, logits, temperature * 1.2) > 60);  // and another temperature would show
  }
}

TEST_CASE(
    "sample: a logit of -infinity never comes; a huge range neither overflows nor hides the first or last token") {
  const std::vector<Index> counts = histogram(matrix({{-inf, 1, -inf, 1, -inf}}), 1, 4000);
  CHECK(counts[0] + counts[2] + counts[4] == 0);
  CHECK(std::min(counts[1], counts[3]) > 1800);  // 2000 each, deviation 32
  CHECK(histogram(matrix({{1e30, -1e30, 1e30}}), 1, 100)[1] == 0);
  CHECK(histogram(matrix({{3e4, 0}}), 1e-3, 100)[0] == 100);
  const std::vector<Index> ends = histogram(matrix({{0, 0, 0, 0}}), 1, 4000);
  CHECK(std::min(ends[0], ends[3]) > 850);  // 1000, deviation 27
}

TEST_CASE("sample: what has no distribution is refused") {
  Random random(1);
  for (const double temperature : {-0.5, inf, not_a_number})
    CHECK_THROWS_AS(sample(matrix({{1, 2}}), temperature, random), std::invalid_argument);
  for (const Matrix& bad :
       {matrix({{1, not_a_number, 0}}), matrix({{1, inf}}), matrix({{-inf, -inf}}), matrix({{1}, {2}}), Matrix(1, 0)})
    for (const double temperature : {0.0, 1.0})
      CHECK_THROWS_AS(sample(bad, temperature, random), std::invalid_argument);
}

TEST_CASE("generate: greedy text is what feeding everything anew for each token gives") {
  const Example e;
  const std::vector<Token> written = generate(e.model, e.prompt, 20, no_end, {.temperature = 0});
  CHECK(written == slow_greedy(e, 20));
  CHECK(std::set(written.begin(), written.end()).size() > 3);  // and not one token for ever
}

TEST_CASE("generate: the same seed writes the same text, another seed another one; emit sees each token in order") {
  const Example e;
  std::vector<Token> emitted;
  const auto text = [&](std::uint64_t seed) {
    emitted.clear();
    return generate(e.model, e.prompt, 30, no_end, {.temperature = 1, .seed = seed},
                    [&](Token t) { emitted.push_back(t); });
  };
  const std::vector<Token> first = text(1);
  CHECK(emitted == first);
  CHECK(first.size() == 30);
  CHECK(text(1) == first);
  CHECK(text(2) != first);
}

TEST_CASE("generate: ends before the end token, which is neither returned nor emitted") {
  const Example e;
  const std::vector<Token> whole = generate(e.model, e.prompt, 20, no_end, {.temperature = 0});
  const auto end = std::find(whole.begin() + 5, whole.end(), whole[5]);
  const std::vector<Token> before(whole.begin(), std::find(whole.begin(), whole.end(), *end));
  std::vector<Token> emitted;
  CHECK(generate(e.model, e.prompt, 20, *end, {.temperature = 0}, [&](Token t) { emitted.push_back(t); }) == before);
  CHECK(emitted == before);
}

TEST_CASE("generate: with fewer tokens than the model has rows, the others never come") {
  const Example e;
  const auto written = [&](double temperature) {
    return generate(e.model, e.prompt, 50, no_end, {.temperature = temperature, .num_tokens = 6});
  };
  for (const double temperature : {0.0, 1.0})
    for (const Token token : written(temperature)) CHECK(token < 6);
  CHECK(*std::max_element(e.prompt.begin(), e.prompt.end()) > 6);
  const std::vector<Token> all = generate(e.model, e.prompt, 50, no_end, {.temperature = 1});
  CHECK(*std::max_element(all.begin(), all.end()) >= 6);
  CHECK_THROWS_AS(generate(e.model, e.prompt, 1, no_end, {.num_tokens = 41}), std::invalid_argument);
}

TEST_CASE("generate: prompt and new tokens fill the positions exactly or are refused; nothing is cut off") {
  const Example e;  // 64 positions
  CHECK(generate(e.model, e.prompt, 60, no_end, {.temperature = 0}).size() == 60);
  CHECK_THROWS_WITH(
      generate(e.model, e.prompt, 61, no_end, {}),
      "generate: a prompt of 4 tokens and 61 new ones; together they must fit the 64 positions of the model");
  CHECK_THROWS_WITH(generate(e.model, {}, 1, no_end, {}), "generate: the prompt is empty; it needs at least one token");
  CHECK_THROWS_AS(generate(e.model, e.prompt, -1, no_end, {}), std::invalid_argument);
  CHECK_THROWS_AS(generate(e.model, e.prompt, std::numeric_limits<Index>::max(), no_end, {}), std::invalid_argument);
  CHECK(generate(e.model, e.prompt, 0, no_end, {}).empty());
}
