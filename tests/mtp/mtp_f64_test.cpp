// SPDX-License-Identifier: MIT
#include "reference/mtp/mtp.hpp"

#include <cmath>
#include <map>

#include "reference/serving/inference.hpp"
#include "tests/mtp/transparent.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

constexpr Index V = Transparent::V;

ModelWeights<Matrix> gradients(const ModelConfig& config, const ModelWeights<Matrix>& p, const Batch& batch,
                               double lambda) {
  ModelWeights<Matrix> grads = zeros(shapes(config));
  Model(config).loss_and_gradients(p, grads, batch, {.weight = 0.1, .lambda = lambda, .balance = {}});
  return grads;
}

/// What the MTP losses alone send to each tensor: its largest element.
std::map<std::string, double> from_mtp(const ModelConfig& config, const ModelWeights<Matrix>& p, const Batch& batch) {
  ModelWeights<Matrix> with = gradients(config, p, batch, 1), without = gradients(config, p, batch, 0);
  std::map<std::string, double> largest;
  const auto a = tensors_of(with), b = tensors_of(without);
  for (std::size_t i = 0; i < a.size(); ++i) largest[a[i].name] = max_abs(*a[i].value - *b[i].value);
  return largest;
}

}  // namespace

TEST_CASE("MTP: sequences of a batch do not mix: its losses are the sum of theirs") {
  const ModelConfig config = [] {
    ModelConfig c = micro_config();
    c.D = 2;
    return c;
  }();
  const Model model(config);
  const ModelWeights<Matrix> p = random_weights(config, 4);
  const Batch both = random_batch(config, 2, 7, 9);
  double sum[2] = {0, 0};
  for (Index s : {0, 1}) {
    Batch one{.count = 1, .length = 7, .tokens = {both.tokens.begin() + 8 * s, both.tokens.begin() + 8 * (s + 1)}};
    const BatchLoss loss = model.loss(p, one);
    for (std::size_t k = 0; k < 2; ++k) sum[k] += loss.mtp_sum.at(k);
  }
  for (std::size_t k = 0; k < 2; ++k)
    CHECK(model.loss(p, both).mtp_sum.at(k) == doctest::Approx(sum[k]).epsilon(1e-13));
}

TEST_CASE("MTP: [hidden; embedding] and [embedding; hidden] are one model under a swap of M's columns, gradients too") {
  ModelConfig config = micro_config();
  const Batch batch = random_batch(config, 2, 9, 3);
  ModelWeights<Matrix> p = random_weights(config, 7), q = p;
  const Index d = config.d();
  const auto swapped = [d](const Matrix& M) {
    Matrix S(M.rows(), M.cols());
    S << M.rightCols(d), M.leftCols(d);
    return S;
  };
  q.mtp[0].M = swapped(p.mtp[0].M);
  ModelConfig other = config;
  other.mtp_order = MtpOrder::embedding_hidden;
  const double a = Model(config).loss(p, batch).mtp_sum.at(0);
  CHECK(Model(other).loss(q, batch).mtp_sum.at(0) == doctest::Approx(a).epsilon(1e-13));
  CHECK(std::abs(Model(other).loss(p, batch).mtp_sum.at(0) - a) > 0.1);  // and without the swap they are not
  ModelWeights<Matrix> dp = gradients(config, p, batch, 0.5), dq = gradients(other, q, batch, 0.5);
  dq.mtp[0].M = swapped(dq.mtp[0].M);
  const auto x = tensors_of(dp), y = tensors_of(dq);
  for (std::size_t i = 0; i < x.size(); ++i) {
    CAPTURE(x[i].name);
    CHECK(outside(*x[i].value, *y[i].value, 1e-12) == "");  // sums of a few hundred terms of size 1
  }
}

TEST_CASE("MTP loss: its gradient weighs lambda / D times what the main model's does") {
  // With a head of zeros, softmax is uniform; d loss / d logits of a target's position is 1/V - 1(target), so every
  // position sends the head a gradient of the same size through the same RMSNorm(e_t).
  Transparent m(2);
  m.p.head.setZero();
  m.module_hands_on(1, "embedding");
  m.module_hands_on(2, "embedding");
  const Batch batch = m.batch(4);
  const Matrix without = gradients(m.config, m.p, batch, 0).head, with = gradients(m.config, m.p, batch, 0.6).head;
  // Main position 1 reads t_1 = 1 and nothing else does: a unit. Channel 2: main position 2, module 1 at position 1;
  // channel 3: main 3, module 1 at 2, module 2 at 1. Each target is the channel's successor.
  const double unit = without(2, 1), module = 0.6 / 2;
  CHECK(unit == doctest::Approx(0.1 * std::sqrt(double{V}) * (1.0 / V - 1)).epsilon(1e-5));
  CHECK(with(2, 1) == doctest::Approx(unit).epsilon(1e-5));
  CHECK(with(3, 2) == doctest::Approx(unit * (1 + module)).epsilon(1e-5));
  CHECK(with(4, 3) == doctest::Approx(unit * (1 + 2 * module)).epsilon(1e-5));
  CHECK(with(5, 4) == doctest::Approx(unit * (1 + 2 * module)).epsilon(1e-5));
}

TEST_CASE("MTP: each module has a norm of its own before the shared head; the main model's is not in it") {
  ModelConfig config = micro_config();
  config.D = 2;
  config.mtp_reads_normed = false;
  const Batch batch = random_batch(config, 2, 9, 3);
  const ModelWeights<Matrix> p = random_weights(config, 7);
  const auto loss = [&](const auto& change) {
    ModelWeights<Matrix> q = p;
    change(q);
    return Model(config).loss(q, batch);
  };
  const BatchLoss at = loss([](auto&) {});
  const BatchLoss own = loss([](auto& q) { q.mtp[0].norm_out.g(0, 1) += 0.5; });
  CHECK(own.main_sum == at.main_sum);
  CHECK(own.mtp_sum[0] != at.mtp_sum[0]);
  CHECK(own.mtp_sum[1] == at.mtp_sum[1]);  // module 2 reads h^1 before that norm
  const BatchLoss last = loss([](auto& q) { q.mtp[1].norm_out.g(0, 1) += 0.5; });
  CHECK(last.mtp_sum[0] == at.mtp_sum[0]);
  CHECK(last.mtp_sum[1] != at.mtp_sum[1]);
  const auto change_main = [](auto& q) { q.norm_final.g(0, 1) += 0.5; };
  CHECK(loss(change_main).main_sum != at.main_sum);
  CHECK(loss(change_main).mtp_sum == at.mtp_sum);
  config.mtp_reads_normed = true;  // now module 1 reads what that norm makes, and module 2 what module 1 makes of it
  const BatchLoss normed = loss([](auto&) {}), changed = loss(change_main);
  CHECK(changed.mtp_sum[0] != normed.mtp_sum[0]);
  CHECK(normed.mtp_sum[0] != at.mtp_sum[0]);
}

TEST_CASE("MTP: embedding and head are shared, and its loss trains them and the trunk") {
  const ModelConfig config = micro_config();
  const Batch batch = random_batch(config, 2, 9, 3);
  ModelWeights<Matrix> p = random_weights(config, 7);
  const auto all = from_mtp(config, p, batch);
  for (const auto& [name, largest] : all) {
    CAPTURE(name);
    if (name.ends_with(".b")) CHECK(largest == 0);
    else if (name.find(".experts.") == name.npos) CHECK(largest > 1e-6);  // an expert may have no token
  }
  const Index d = config.d();
  SUBCASE("a module that does not look at the hidden state sends the trunk nothing, but the embedding") {
    p.mtp[0].M.leftCols(d).setZero();
    const auto some = from_mtp(config, p, batch);
    for (const auto& [name, largest] : some)
      if (name.starts_with("blocks.") || name == "norm_final.g") CHECK(largest == 0);
    CHECK(some.at("embedding") > 1e-6);
    CHECK(some.at("head") > 1e-6);
    CHECK(some.at("mtp.1.norm_embedding.g") > 1e-6);
  }
  SUBCASE("a module that does not look at the embedding reaches it through the trunk only") {
    p.mtp[0].M.rightCols(d).setZero();
    const auto some = from_mtp(config, p, batch);
    CHECK(some.at("blocks.0.mla.W_O") > 1e-6);
    CHECK(some.at("mtp.1.norm_embedding.g") == 0);
    CHECK(some.at("embedding") > 1e-6);
  }
}

TEST_CASE("MTP: without a module the loss is the plain one, whatever lambda") {
  ModelConfig config = micro_config(), plain = config;
  plain.D = 0;
  const Batch batch = random_batch(config, 2, 9, 3);
  ModelWeights<Matrix> p = random_weights(config, 7), q = p;
  q.mtp.clear();
  const BatchLoss with = Model(config).loss(p, batch), without = Model(plain).loss(q, batch);
  CHECK(without.main_sum == with.main_sum);
  CHECK(without.mtp_sum.empty());
  CHECK(without.load.size() == with.load.size() - 1);
  ModelWeights<Matrix> a = gradients(plain, q, batch, 0.7), b = gradients(config, p, batch, 0);
  for (const NamedTensor& t : tensors_of(a)) {
    CAPTURE(t.name);
    for (const NamedTensor& u : tensors_of(b))
      if (u.name == t.name) CHECK(outside(*t.value, *u.value, 1e-15) == "");
  }
}

TEST_CASE("MTP module: gradients of its input, of M and of its two norms, in both orders") {
  for (const MtpOrder order : {MtpOrder::hidden_embedding, MtpOrder::embedding_hidden}) {
    ModelConfig config = micro_config();
    config.mtp_order = order;
    const Mtp module(config);
    MtpWeights<Matrix> p = random_weights(config, 5).mtp[0];
    Matrix x = probe(7, 2 * config.d(), 2);
    const Matrix weights = probe(7, config.d(), 3);
    Context context;
    context.sequences = Sequences::uniform(1, 7);
    const auto f = [&] { return (module.forward(p, x, context).y.array() * weights.array()).sum(); };
    MtpWeights<Matrix> grads = zeros(shapes(config)).mtp[0];
    auto [y, stored] = module.forward(p, x, context);
    auto [dx, deferred] = module.backward_input(p, std::move(stored), Matrix(x), Matrix(weights), context);
    module.backward_weight(std::move(deferred), grads, context);
    CHECK(derivative_error(f, x, dx, 1) < 1e-7);
    CHECK(derivative_error(f, p.M, grads.M, 2) < 1e-7);
    CHECK(derivative_error(f, p.norm_hidden.g, grads.norm_hidden.g, 3) < 1e-7);
    CHECK(derivative_error(f, p.norm_embedding.g, grads.norm_embedding.g, 4) < 1e-7);
  }
}

TEST_CASE("MTP module: an input that is not hidden state and embedding side by side is refused") {
  const ModelConfig config = micro_config();
  const MtpWeights<Matrix> p = random_weights(config, 5).mtp[0];
  CHECK_THROWS_WITH(Mtp(config).forward(p, probe(3, 12, 1), {}),
                    "mtp: x is [3, 12]; it needs 24 columns: hidden state and embedding");
}
