// SPDX-License-Identifier: MIT
#include "reference/serving/inference.hpp"

#include <functional>
#include <map>

#include "reference/core/require.hpp"
#include "reference/linear/linear.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/models.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

// Logits are near 1 to 10 and made of a few hundred terms in each of two layers, in double.
constexpr double bound = 1e-11;

struct Example {
  ModelConfig config;
  ModelWeights<Matrix> weights;
  std::vector<Token> tokens;  ///< one more than is read
};

Example example(Index length = 21, Index D = 1, bool query_latent = true) {
  Example e{micro_config(), {}, {}};
  e.config.D = D;
  if (!query_latent) e.config.mla.d_c_prime = 0;
  e.weights = random_weights(e.config, 11);
  e.tokens = random_batch(e.config, 1, length, 5).tokens;
  return e;
}

/// Final representations of all tokens but the last, fed in chunks of the given lengths.
Matrix in_chunks(const Example& e, AttentionForm form, std::initializer_list<Index> lengths) {
  const Inference inference(e.config, source_of(e.weights));
  SequenceState state = inference.start();
  Matrix h(std::ssize(e.tokens) - 1, e.config.d());
  for (const Index n : lengths) {
    const std::span<const Token> chunk(e.tokens.data() + state.length, static_cast<std::size_t>(n));
    const Index at = state.length;
    h.middleRows(at, n) = inference.extend(state, chunk, form);
  }
  REQUIRE(state.length == h.rows());
  return h;
}

double cross_entropy(const Matrix& logits, std::span<const Token> targets) {
  double sum = 0;
  for (Index i = 0; i < logits.rows(); ++i) sum += std::log(logits.row(i).array().exp().sum()) - logits(i, targets[i]);
  return sum;
}

std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "nothing thrown";
}

}  // namespace

TEST_CASE("inference: naive and absorbed, whole, in chunks and token by token: one function of the sequence") {
  for (const bool query_latent : {true, false}) {
    const Example e = example(21, 1, query_latent);
    const Matrix whole = in_chunks(e, AttentionForm::naive, {21});
    CHECK(different(in_chunks(e, AttentionForm::absorbed, {21}), whole) != "");  // they are two forms, not one
    for (const AttentionForm form : {AttentionForm::naive, AttentionForm::absorbed}) {
      CHECK(outside(in_chunks(e, form, {21}), whole, bound) == "");
      CHECK(outside(in_chunks(e, form, {8, 1, 12}), whole, bound) == "");
      CHECK(outside(in_chunks(e, form, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}), whole,
                    bound) == "");
    }
  }
}

TEST_CASE("inference: the losses of its logits are those that training computes, two MTP modules included") {
  for (const MtpOrder order : {MtpOrder::hidden_embedding, MtpOrder::embedding_hidden}) {
    Example e = example(21, 2);
    e.config.mtp_order = order;
    const std::span<const Token> tokens(e.tokens);
    const Inference inference(e.config, source_of(e.weights));
    SequenceState state = inference.start();
    const Matrix h = inference.extend(state, tokens.first(21), AttentionForm::naive);
    const BatchLoss loss = Model(e.config).loss(e.weights, {.count = 1, .length = 21, .tokens = e.tokens});
    CHECK(loss.main_sum == doctest::Approx(cross_entropy(inference.logits(h), tokens.subspan(1))).epsilon(1e-13));
    const std::vector<Matrix> mtp = inference.mtp_logits(h, tokens.first(21));
    REQUIRE(mtp.size() == 2);
    for (std::size_t k = 1; k <= 2; ++k) {
      CAPTURE(k);
      CHECK(mtp[k - 1].rows() == 21 - static_cast<Index>(k));
      CHECK(loss.mtp_sum[k - 1] == doctest::Approx(cross_entropy(mtp[k - 1], tokens.subspan(k + 1))).epsilon(1e-13));
    }
  }
}

TEST_CASE("inference: routing has the same bits as in training; the load of a batch is what the tap counts") {
  const Example e = example();
  std::vector<Index> seen(static_cast<std::size_t>(e.config.moe.gate.N_r));
  const Tap tap = [&](const std::string& name, const Matrix& value) {
    if (name != "layers.1.topk_experts") return;
    for (const real expert : value.reshaped()) ++seen[static_cast<std::size_t>(expert)];
  };
  const Inference inference(e.config, source_of(e.weights), Precision::fp32, tap);
  SequenceState state = inference.start();
  inference.extend(state, std::span(e.tokens).first(21), AttentionForm::naive);
  CHECK(Model(e.config).loss(e.weights, {.count = 1, .length = 21, .tokens = e.tokens}).load.at(0) == seen);
}

TEST_CASE("inference: what the tap shows is the new tokens' and has the cache's values in it") {
  const Example e = example();
  std::map<std::string, Matrix> seen;
  const Inference inference(e.config, source_of(e.weights), Precision::fp32,
                            [&](const std::string& name, const Matrix& value) { seen[name] = value; });
  SequenceState state = inference.start();
  inference.extend(state, std::span(e.tokens).first(9), AttentionForm::naive);
  inference.extend(state, std::span(e.tokens).subspan(9, 4), AttentionForm::absorbed);
  for (const char* const name : {"layers.0.out", "layers.0.u", "layers.0.c_KV_hat", "layers.0.k_R", "layers.1.u",
                                 "layers.1.out", "layers.1.router_logits", "layers.1.topk_experts",
                                 "layers.1.topk_weights", "layers.1.selection_margin", "norm_final.out"}) {
    CAPTURE(name);
    REQUIRE(seen.contains(name));
    CHECK(seen.at(name).rows() == 4);
  }
  CHECK(different(seen.at("layers.1.k_R"), state.caches[1].k_R(e.config.mla.d_c).bottomRows(4)) == "");
  CHECK(different(seen.at("layers.1.c_KV_hat"), state.caches[1].c_KV_hat(e.config.mla.d_c).bottomRows(4)) == "");
}

TEST_CASE("inference: the head is asked for in pieces; together they are all of it") {
  Example e{micro_config(), {}, {}};
  e.config.V = 8192 + 40;
  e.weights = random_weights(e.config, 11);
  WeightSource source = source_of(e.weights);
  std::vector<Index> asked;
  const auto rows = source.head_rows;
  source.head_rows = [&](Index first, Index count) {
    asked.insert(asked.end(), {first, count});
    return rows(first, count);
  };
  const Matrix h = probe(3, e.config.d(), 1);
  Matrix expected(3, e.config.V);
  for (Index i = 0; i < 3; ++i)
    for (Index v = 0; v < e.config.V; ++v) expected(i, v) = h.row(i).cwiseProduct(e.weights.head.row(v)).sum();
  CHECK(outside(Inference(e.config, source).logits(h), expected, bound) == "");
  CHECK(asked == std::vector<Index>{0, 8192, 8192, 40});
}

TEST_CASE("inference: a failure on the way leaves the sequence where it was") {
  const Example e = example();
  WeightSource source = source_of(e.weights);
  bool broken = false;
  const auto block = source.block;
  source.block = [&](Index layer) {
    if (broken && layer == 1) throw std::runtime_error("the disk is gone");
    return block(layer);
  };
  const Inference inference(e.config, source);
  const std::span<const Token> tokens(e.tokens);
  SequenceState state = inference.start(), undisturbed = inference.start();
  inference.extend(state, tokens.first(5), AttentionForm::naive);
  inference.extend(undisturbed, tokens.first(5), AttentionForm::naive);
  broken = true;
  CHECK_THROWS_AS(inference.extend(state, tokens.subspan(5, 3), AttentionForm::naive), std::runtime_error);
  CHECK(state.length == 5);
  broken = false;
  const Matrix expected = inference.extend(undisturbed, tokens.subspan(5, 3), AttentionForm::naive);
  CHECK(different(inference.extend(state, tokens.subspan(5, 3), AttentionForm::naive), expected) == "");
}

TEST_CASE("inference: what cannot be right is refused") {
  Example e = example();
  const Inference inference(e.config, source_of(e.weights));
  const std::span<const Token> tokens(e.tokens);
  SequenceState state = inference.start();
  CHECK(message([&] { inference.extend(state, {}, AttentionForm::naive); }) ==
        "inference: no tokens to feed; it needs at least one");
  const std::vector<Token> long_text(65, 1), wrong = {3, 40};
  CHECK(message([&] { inference.extend(state, long_text, AttentionForm::naive); }) ==
        "inference: 65 tokens do not fit; the model has 64 positions");
  CHECK(message([&] { inference.extend(state, wrong, AttentionForm::naive); }) != "nothing thrown");
  SequenceState not_started;
  CHECK(message([&] { inference.extend(not_started, tokens.first(2), AttentionForm::naive); }) ==
        "inference: the state has caches of 0 layers; the model has 2: begin with start()");
  const Matrix h = inference.extend(state, tokens.first(6), AttentionForm::naive);
  CHECK(message([&] { inference.mtp_logits(h, tokens.first(5)); }) ==
        "mtp_logits: representations are [6, 12] for 5 tokens; they need a row of 12 for each");
  CHECK(message([&] { inference.mtp_logits(h.topRows(1), tokens.first(1)); }) ==
        "mtp_logits: a sequence of 1 tokens; module 1 needs more than 1");
  e.config.mtp_reads_normed = false;
  const Inference before_norm(e.config, source_of(e.weights));
  CHECK(message([&] {
          before_norm.mtp_logits(h, tokens.first(6));
        }).starts_with("mtp_logits: this model's MTP modules read"));
}

TEST_CASE("inference: logits of a vocabulary of more than one piece are those of the whole head") {
  ModelConfig config = micro_config();
  config.V = 8200;  // the head is asked for 8192 rows at a time
  const ModelWeights<Matrix> weights = random_weights(config, 5);
  const Inference inference(config, source_of(weights));
  const Matrix h = probe(2, config.d(), 6);
  CHECK(outside(inference.logits(h), fprop(weights.head, h), 1e-14) == "");  // the same sums of 12 terms of size 1
}
