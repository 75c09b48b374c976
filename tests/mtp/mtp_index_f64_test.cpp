// SPDX-License-Identifier: MIT
#include "reference/mtp/mtp.hpp"

#include <cmath>

#include "reference/serving/inference.hpp"
#include "tests/mtp/transparent.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

constexpr Index V = Transparent::V;
constexpr double kappa = Transparent::kappa;

/// -log softmax of a logit that is kappa sqrt(V) where all others are 0: RMSNorm makes sqrt(V) of a unit vector.
double right() { return std::log1p((V - 1) * std::exp(-kappa * std::sqrt(double{V}))); }
/// The same where another logit is the large one.
double wrong() { return right() + kappa * std::sqrt(double{V}); }

constexpr double epsilon_effect = 1e-4;  // of RMSNorm's 1e-6 beside a mean square of 1, or of 1/V, on logits of 14

}  // namespace

TEST_CASE("MTP index walk, T = 4, D = 1: positions 1, 2, 3 read h_i and Emb(t_{i+1}) and predict t_3, t_4, t_5") {
  for (const MtpOrder order : {MtpOrder::hidden_embedding, MtpOrder::embedding_hidden}) {
    Transparent m(1);
    m.config.mtp_order = order;
    m.module_hands_on(1, "embedding");
    m.head_adds(1);  // t_{i+1} is followed by t_{i+2}
    CHECK(std::abs(m.loss(4).mtp_sum.at(0) - 3 * right()) < epsilon_effect);
    CHECK(std::abs(m.loss(4).main_sum - 4 * right()) < epsilon_effect);  // h_i is t_i, followed by t_{i+1}
    m.head_adds(2);
    CHECK(std::abs(m.loss(4).mtp_sum.at(0) - 3 * wrong()) < epsilon_effect);
    m.module_hands_on(1, "hidden");  // t_i is two before t_{i+2}
    CHECK(std::abs(m.loss(4).mtp_sum.at(0) - 3 * right()) < epsilon_effect);
    m.head_adds(1);
    CHECK(std::abs(m.loss(4).mtp_sum.at(0) - 3 * wrong()) < epsilon_effect);
  }
}

TEST_CASE("MTP index walk, D = 2: module 2 reads h^1_i and Emb(t_{i+2}) and predicts t_4, t_5") {
  Transparent m(2);
  m.module_hands_on(1, "hidden");
  m.module_hands_on(2, "embedding");
  m.head_adds(1);  // t_{i+2} is followed by t_{i+3}
  CHECK(std::abs(m.loss(4).mtp_sum.at(1) - 2 * right()) < epsilon_effect);
  m.module_hands_on(2, "hidden");
  m.head_adds(3);  // h^1_i is t_i
  CHECK(std::abs(m.loss(4).mtp_sum.at(1) - 2 * right()) < epsilon_effect);
  m.module_hands_on(1, "embedding");
  m.head_adds(2);  // h^1_i is t_{i+1}: module 2 reads module 1, not the main model
  CHECK(std::abs(m.loss(4).mtp_sum.at(1) - 2 * right()) < epsilon_effect);
  m.head_adds(3);
  CHECK(std::abs(m.loss(4).mtp_sum.at(1) - 2 * wrong()) < epsilon_effect);
}

TEST_CASE("MTP index walk in decoding: row i of the logits names token i+k+1") {
  Transparent m(2);
  m.module_hands_on(1, "embedding");
  m.module_hands_on(2, "embedding");
  m.head_adds(1);
  const Inference inference(m.config, source_of(m.p));
  const std::vector<Token> tokens = {1, 2, 3, 4};
  SequenceState state = inference.start();
  const std::vector<Matrix> logits =
      inference.mtp_logits(inference.extend(state, tokens, AttentionForm::naive), tokens);
  for (const Index k : {1, 2}) {
    REQUIRE(logits[k - 1].rows() == 4 - k);
    for (Index i = 0; i < 4 - k; ++i) {
      Index best = 0;
      logits[k - 1].row(i).maxCoeff(&best);
      CHECK(best == tokens[i] + k + 1);
    }
  }
}

TEST_CASE("MTP loss: T-k targets a sequence, divided by T, Eq. (24)") {
  Transparent m(2);
  m.p.head.setZero();  // every token costs ln V
  const BatchLoss loss = m.loss(4);
  CHECK(loss.mtp_sum.at(0) == doctest::Approx(3 * std::log(V)).epsilon(1e-13));
  CHECK(loss.mtp_sum.at(1) == doctest::Approx(2 * std::log(V)).epsilon(1e-13));
  CHECK(loss.main_loss() == doctest::Approx(std::log(V)).epsilon(1e-13));
  CHECK(loss.mtp_loss(0) == doctest::Approx(3.0 / 4 * std::log(V)).epsilon(1e-13));
  CHECK(loss.mtp_loss(1) == doctest::Approx(2.0 / 4 * std::log(V)).epsilon(1e-13));
}
