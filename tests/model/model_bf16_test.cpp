// SPDX-License-Identifier: MIT
#include "reference/linear/linear.hpp"
#include "reference/model/loss.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/models.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

constexpr Precision bf16 = Precision::bf16;

Context of_one_sequence(Index length) {
  return {.precision = bf16, .sequences = Sequences::uniform(1, length), .balance = {}, .tap = {}, .tap_prefix = {}};
}

/// Two blocks and one MTP module that reads h^0 before the final norm, step by step, each rounding written down; the
/// gradients of the embedding and of the blocks.
ModelWeights<Matrix> gradients_step_by_step(const Model& model, const ModelWeights<Matrix>& p, const Batch& batch,
                                            const Objective& objective) {
  const Index T = batch.length, d = model.config.d();
  const Context main = of_one_sequence(T), ahead = of_one_sequence(T - 1);
  ModelWeights<Matrix> grads = zeros(shapes(model.config));

  const Matrix x0 = round_to(bf16, embed(p.embedding, batch.slice(0, T)));
  auto [x1, stored0] = model.blocks[0].forward(p.blocks[0], x0, main);
  auto [h0, stored1] = model.blocks[1].forward(p.blocks[1], x1, main);
  const Matrix h_final = model.norm.forward(p.norm_final, h0, main).y;
  Matrix mtp_x(T - 1, 2 * d);
  mtp_x << h0.topRows(T - 1), round_to(bf16, embed(p.embedding, batch.slice(1, T - 1)));
  auto [h1, stored_mtp] = model.mtp[0].forward(p.mtp[0], mtp_x, ahead);
  const Matrix h1_final = model.norm.forward(p.mtp[0].norm_out, h1, ahead).y;

  Matrix d_h_final, d_h1_final;
  head_loss_and_gradients(p.head, grads.head, h_final, d_h_final, batch.slice(1, T), objective.weight, bf16);
  head_loss_and_gradients(p.head, grads.head, h1_final, d_h1_final, batch.slice(2, T - 1),
                          objective.weight * objective.lambda, bf16);
  Matrix d_h1 =
      model.norm.backward_input(p.mtp[0].norm_out, {}, std::move(h1), std::move(d_h1_final), ahead).dx;  // to M_1
  const Matrix d_mtp_x =
      model.mtp[0].backward_input(p.mtp[0], std::move(stored_mtp), std::move(mtp_x), std::move(d_h1), ahead).dx;
  Matrix d_h0 = model.norm.backward_input(p.norm_final, {}, std::move(h0), std::move(d_h_final), main).dx;
  d_h0.topRows(T - 1) += d_mtp_x.leftCols(d);
  auto [d_x1, w1] =
      model.blocks[1].backward_input(p.blocks[1], std::move(stored1), std::move(x1), round_to(bf16, d_h0), main);
  auto [d_x0, w0] = model.blocks[0].backward_input(p.blocks[0], std::move(stored0), Matrix(x0), std::move(d_x1), main);
  model.blocks[1].backward_weight(std::move(w1), grads.blocks[1], main);
  model.blocks[0].backward_weight(std::move(w0), grads.blocks[0], main);
  embed_backward(grads.embedding, batch.slice(1, T - 1), d_mtp_x.rightCols(d));
  embed_backward(grads.embedding, batch.slice(0, T), d_x0);
  return grads;
}

}  // namespace

TEST_CASE(
    "model in bf16: the embedding's rows and the gradient that enters the last block are rounded, by no bit else") {
  ModelConfig config = micro_config();
  config.mtp_reads_normed = false;
  const Model model(config);
  const ModelWeights<Matrix> p = random_weights(config, 3);
  const Batch batch = random_batch(config, 1, 12, 4);
  const Objective objective{.weight = 0.1, .lambda = 0.3, .balance = {}};
  ModelWeights<Matrix> grads = zeros(shapes(config));
  model.loss_and_gradients(p, grads, batch, objective, bf16);
  ModelWeights<Matrix> expected = gradients_step_by_step(model, p, batch, objective);
  CHECK(different(grads.embedding, expected.embedding) == "");
  CHECK(different(grads.head, expected.head) == "");
  for (const std::size_t layer : {0, 1}) {
    const auto a = tensors_of(grads.blocks[layer]), b = tensors_of(expected.blocks[layer]);
    for (std::size_t i = 0; i < a.size(); ++i) {
      CAPTURE(a[i].name);
      CHECK(different(*a[i].value, *b[i].value) == "");
    }
  }
}

TEST_CASE("model: every RMSNorm has the configuration's epsilon, those on the latents their own") {
  ModelConfig config = micro_config();
  config.eps = 1e-2;
  config.mla.eps = 1e-3;
  const Model model(config);
  CHECK(model.norm.eps == 1e-2);
  for (const Block& block : model.blocks) {
    CHECK(block.norm.eps == 1e-2);
    CHECK(block.mla.config().eps == 1e-3);
  }
  REQUIRE(model.mtp.size() == 1);
  CHECK(model.mtp[0].input.norm.eps == 1e-2);
  CHECK(model.mtp[0].block.norm.eps == 1e-2);
  CHECK(model.mtp[0].block.mla.config().eps == 1e-3);
}
