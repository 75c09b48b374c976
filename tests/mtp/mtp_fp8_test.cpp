// SPDX-License-Identifier: MIT
#include "reference/linear/linear.hpp"
#include "reference/mtp/mtp.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("MTP in fp8: M runs in FP8 in all three directions; what W reads waits as codes") {
  const ModelConfig config = config_by_name("tiny");
  const Index d = config.d(), T = 20;
  const Mtp mtp(config);
  const MtpWeights<Matrix> p = initial_weights(config, 1).mtp.at(0);
  Context context;
  context.precision = Precision::fp8;
  context.sequences = Sequences::uniform(1, T);
  const Matrix x = probe(T, 2 * d, 1), dh = probe(T, d, 2);
  auto [h, stored] = mtp.forward(p, x, context);
  const Matrix normed = mtp.recompute(p, stored, x, context).normed;
  CHECK(different(stored.h_prime, fprop(p.M, normed, Precision::fp8)) == "");
  REQUIRE(different(stored.h_prime, fprop(p.M, normed, Precision::bf16)) != "");

  Block::Stored of_block = stored.block;
  const Matrix d_h_prime =
      mtp.block.backward_input(p.block, std::move(of_block), Matrix(stored.h_prime), Matrix(dh), context).dx;
  auto [dx, w] = mtp.backward_input(p, std::move(stored), Matrix(x), Matrix(dh), context);
  REQUIRE(w.normed.codes());
  REQUIRE(w.d_h_prime.codes());
  MtpWeights<Matrix> grads = p;
  Matrix expected = p.M;
  wgrad(expected, d_h_prime, normed, Precision::fp8);
  mtp.backward_weight(std::move(w), grads, context);
  CHECK(different(grads.M, expected) == "");
  const Matrix d_normed = dgrad(p.M, d_h_prime, Precision::fp8);
  const Index hidden = mtp.input.order == MtpOrder::hidden_embedding ? 0 : d;
  const RmsNorm norm = mtp.input.norm;
  CHECK(
      different(
          Matrix(dx.leftCols(d)),
          norm.backward_input(p.norm_hidden, {}, x.leftCols(d), Matrix(d_normed.middleCols(hidden, d)), context).dx) ==
      "");
}
