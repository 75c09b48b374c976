// SPDX-License-Identifier: MIT
#include "reference/formats/bf16.hpp"
#include "reference/model/block.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/models.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// a + b with every sum rounded to BF16.
Matrix rounded_sum(const Matrix& a, const Matrix& b) {
  Matrix sum(a.rows(), a.cols());
  for (Index i = 0; i < a.rows(); ++i)
    for (Index j = 0; j < a.cols(); ++j)
      sum(i, j) = float_from_bf16(bf16_from_float(static_cast<float>(a(i, j) + b(i, j))));
  return sum;
}

struct Run {
  Matrix y, dx;
};

/// A block as its two branches, each residual sum and each sum of two gradients rounded once.
Run branch_by_branch(const Block& block, const BlockWeights<Matrix>& p, const Matrix& x, const Matrix& dy,
                     const Context& context) {
  const auto normed = [&](const RmsNormWeights<Matrix>& g, const Matrix& v) {
    return block.norm.forward(g, v, context).y;
  };
  const auto through_norm = [&](const RmsNormWeights<Matrix>& g, const Matrix& v, const Matrix& d) {
    return block.norm.backward_input(g, {}, Matrix(v), Matrix(d), context).dx;
  };
  auto [u, mla] = block.mla.forward(p.mla, normed(p.norm_attention, x), context);
  const Matrix x_prime = rounded_sum(x, u);
  auto [f, ffn] = block.ffn.forward(p.ffn, normed(p.norm_ffn, x_prime), context);
  Run run{.y = rounded_sum(x_prime, f), .dx = {}};

  const Matrix d_ffn =
      block.ffn.backward_input(p.ffn, std::move(ffn), normed(p.norm_ffn, x_prime), Matrix(dy), context).dx;
  const Matrix dx_prime = rounded_sum(dy, through_norm(p.norm_ffn, x_prime, d_ffn));
  const Matrix d_mla =
      block.mla.backward_input(p.mla, std::move(mla), normed(p.norm_attention, x), Matrix(dx_prime), context).dx;
  run.dx = rounded_sum(dx_prime, through_norm(p.norm_attention, x, d_mla));
  return run;
}

}  // namespace

TEST_CASE("block in bf16: x', y and their gradients are rounded after each addition, by no bit else") {
  const ModelConfig config = micro_config();
  const ModelWeights<Matrix> weights = random_weights(config, 5);
  Context context;
  context.precision = Precision::bf16;
  context.sequences = Sequences::uniform(2, 7);
  const Matrix x = round_to_bf16(probe(14, config.d(), 1)), dy = round_to_bf16(probe(14, config.d(), 2));
  for (const Index layer : {0, 1}) {
    CAPTURE(layer);
    const Block block(config, layer);
    const BlockWeights<Matrix>& p = weights.blocks[layer];
    const Run expected = branch_by_branch(block, p, x, dy, context);
    auto [y, stored] = block.forward(p, x, context);
    CHECK(different(y, expected.y) == "");
    CHECK(different(block.backward_input(p, std::move(stored), Matrix(x), Matrix(dy), context).dx, expected.dx) == "");
  }
}
