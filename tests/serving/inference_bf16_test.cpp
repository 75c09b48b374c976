// SPDX-License-Identifier: MIT
#include "reference/linear/linear.hpp"
#include "reference/serving/inference.hpp"
#include "tests/serving/hf_golden.hpp"
#include "tests/support/models.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

constexpr Precision bf16 = Precision::bf16;

struct Example {
  ModelConfig config = micro_config();
  ModelWeights<Matrix> p;
  std::vector<Token> tokens;
  Values seen;
  Matrix h;
  std::vector<Matrix> mtp_logits;

  Example() {
    config.D = 2;
    p = random_weights(config, 11);
    tokens = random_batch(config, 1, 13, 5).tokens;
    const Inference inference(config, source_of(p), bf16,
                              [&](const std::string& name, const Matrix& value) { seen[name] = value; });
    SequenceState state = inference.start();
    h = inference.extend(state, tokens, AttentionForm::naive);
    mtp_logits = inference.mtp_logits(h, tokens);
  }
  Context context(Index length) const {
    return {.precision = bf16, .sequences = Sequences::uniform(1, length), .balance = {}, .tap = {}, .tap_prefix = {}};
  }
};

}  // namespace

TEST_CASE(
    "inference in bf16: the embedding and the residual stream after each addition are rounded, and nothing else") {
  const Example e;
  const Model model(e.config);
  const Context context = e.context(std::ssize(e.tokens));
  const Matrix embedded = embed(e.p.embedding, e.tokens);
  Matrix x = round_to(bf16, embedded);
  CHECK(different(x, embedded) != "");
  for (Index layer = 0; layer < e.config.L; ++layer) {
    CAPTURE(layer);
    const Block& block = model.blocks[static_cast<std::size_t>(layer)];
    const auto& w = e.p.blocks[static_cast<std::size_t>(layer)];
    const Matrix u = block.mla.forward(w.mla, block.norm.forward(w.norm_attention, x, context).y, context).y;
    const Matrix x_prime = round_to(bf16, x + u);
    const Matrix f = block.ffn.forward(w.ffn, block.norm.forward(w.norm_ffn, x_prime, context).y, context).y;
    const Matrix y = round_to(bf16, x_prime + f);
    const std::string at = concat("layers.", layer, ".");
    CHECK(different(e.seen.at(at + "x_prime"), x_prime) == "");
    CHECK(different(x_prime, x + u) != "");
    CHECK(different(e.seen.at(at + "out"), y) == "");
    CHECK(different(y, x_prime + f) != "");
    x = y;
  }
  CHECK(different(e.h, model.norm.forward(e.p.norm_final, x, context).y) == "");
}

TEST_CASE("inference in bf16: MTP modules have the bits of training's, their rounded embeddings among them") {
  const Example e;
  const Model model(e.config);
  const Index d = e.config.d();
  Matrix below = e.h;
  for (std::size_t k = 1; k <= 2; ++k) {
    CAPTURE(k);
    const Index rows = std::ssize(e.tokens) - static_cast<Index>(k);
    const Context context = e.context(rows);
    Matrix x(rows, 2 * d);
    x << below.topRows(rows), round_to(bf16, embed(e.p.embedding, std::span(e.tokens).subspan(k)));
    const auto& w = e.p.mtp[k - 1];
    below = model.mtp[k - 1].forward(w, x, context).y;
    const Matrix logits = fprop(e.p.head, model.norm.forward(w.norm_out, below, context).y, bf16);
    CHECK(different(e.mtp_logits[k - 1], logits) == "");
  }
}
