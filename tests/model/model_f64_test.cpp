// SPDX-License-Identifier: MIT
#include "reference/model/model.hpp"

#include "reference/core/random.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/models.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// weight * (main + lambda/D * MTP) + balance: what loss_and_gradients differentiates.
double objective_value(const Model& model, const ModelWeights<Matrix>& p, const Batch& batch,
                       const Objective& objective) {
  ModelWeights<Matrix> ignored = zeros(shapes(model.config));
  const BatchLoss loss = model.loss_and_gradients(p, ignored, batch, objective);
  double mtp = 0;
  for (const double sum : loss.mtp_sum) mtp += sum;
  if (model.config.D > 0) mtp *= objective.lambda / static_cast<double>(model.config.D);
  return objective.weight * (loss.main_sum + mtp) + loss.balance;
}

void check_every_gradient(const ModelConfig& config) {
  const Model model(config);
  ModelWeights<Matrix> p = random_weights(config, 7);
  const Batch batch = random_batch(config, 2, 9, 3);
  const Objective objective{.weight = 0.1, .lambda = 0.7, .balance = {.alpha = 0.3, .weight = 0.5}};
  ModelWeights<Matrix> grads = zeros(shapes(config));
  model.loss_and_gradients(p, grads, batch, objective);

  const std::vector<NamedTensor> tensors = tensors_of(p), gradients = tensors_of(grads);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    INFO(tensors[i].name);
    if (tensors[i].role == Role::bias) {
      CHECK(max_abs(*gradients[i].value) == 0);
    } else {
      const auto f = [&] { return objective_value(model, p, batch, objective); };
      CHECK(derivative_error(f, *tensors[i].value, *gradients[i].value, i) < 1e-7);
    }
  }
}

}  // namespace

TEST_CASE("model: the gradient of every parameter, with two MTP modules and the balance loss") {
  ModelConfig config = micro_config();
  config.D = 2;
  SUBCASE("[hidden; embedding], hidden after the final norm") {}
  SUBCASE("[embedding; hidden], hidden before the final norm") {
    config.mtp_order = MtpOrder::embedding_hidden;
    config.mtp_reads_normed = false;
  }
  SUBCASE("softmax gate, no query latent, no MTP") {
    config.D = 0;
    config.mla.d_c_prime = 0;
    config.moe.gate.scoring = Scoring::softmax;
    config.moe.gate.group_score = GroupScore::maximum;
    config.moe.gate.normalise = false;
    config.moe.gate.has_bias = false;
  }
  check_every_gradient(config);
}

TEST_CASE("model: gradients add up, so two micro-batches are one batch") {
  const ModelConfig config = micro_config();
  const Model model(config);
  const ModelWeights<Matrix> p = random_weights(config, 1);
  const Batch batch = random_batch(config, 4, 8, 2);
  const Objective objective{.weight = 1.0 / 32, .lambda = 0.3, .balance = {.alpha = 0.01, .weight = 0.25}};
  ModelWeights<Matrix> whole = zeros(shapes(config)), parts = zeros(shapes(config));
  const BatchLoss whole_loss = model.loss_and_gradients(p, whole, batch, objective);
  BatchLoss loss;
  for (Index half : {0, 1}) {
    Batch part{.count = 2, .length = 8, .tokens = {}};
    part.tokens.assign(batch.tokens.begin() + half * 18, batch.tokens.begin() + (half + 1) * 18);
    loss.add(model.loss_and_gradients(p, parts, part, objective));
  }
  CHECK(loss.main_sum == doctest::Approx(whole_loss.main_sum).epsilon(1e-13));
  CHECK(loss.balance == doctest::Approx(whole_loss.balance).epsilon(1e-13));
  CHECK(loss.load == whole_loss.load);
  const auto a = tensors_of(whole), b = tensors_of(parts);
  for (std::size_t i = 0; i < a.size(); ++i) {
    INFO(a[i].name);
    CHECK(outside(*a[i].value, *b[i].value, 1e-12) == "");  // sums of a few dozen terms of size 1 in double
  }
}
