// SPDX-License-Identifier: MIT
#include "reference/mla/mla.hpp"

#include "reference/linear/linear.hpp"
#include "tests/mla/example.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

MlaConfig without_yarn(MlaConfig config) {
  config.rope.yarn.reset();
  return config;
}

Matrix u_of(const MlaConfig& config, const MlaWeights<Matrix>& p, const Matrix& h, const Context& context) {
  return Mla(config).forward(p, h, context).y;
}

}  // namespace

TEST_CASE("MLA: forward agrees with Eqs. (1) to (11) in plain loops") {
  const Context context = context_of({{7, 0}, {1, 3}, {70, 11}, {5, 123}});  // 70: two blocks of queries
  for (const MlaConfig& config : {example_config(), example_config(0), without_yarn(example_config())}) {
    const auto p = example_weights(config);
    const Matrix h = probe(83, config.d, 1);
    // u is near 1 to 10 and made of a few hundred terms
    CHECK(outside(u_of(config, p, h, context), SlowMla(config, p).forward(h, context.sequences), 1e-12) == "");
  }
}

TEST_CASE("MLA: gradients of the input and of every weight, several sequences, YaRN on, d_v != d_h") {
  const Context context = context_of({{7, 0}, {66, 11}, {1, 3}});
  for (const Index d_c_prime : {14, 0}) {
    const MlaConfig config = example_config(d_c_prime);
    const Mla mla(config);
    auto p = example_weights(config), grads = zeros(mla_shapes(config));
    Matrix h = probe(74, config.d, 1);
    const Matrix du = probe(74, config.d, 2);
    const auto f = [&] { return (mla.forward(p, h, context).y.array() * du.array()).sum(); };

    auto [u, stored] = mla.forward(p, h, context);
    auto [dh, deferred] = mla.backward_input(p, std::move(stored), Matrix(h), Matrix(du), context);
    mla.backward_weight(std::move(deferred), grads, context);

    CHECK(derivative_error(f, h, dh, 3) < 1e-7);
    auto weights = tensors_of(p), gradients = tensors_of(grads);
    REQUIRE(weights.size() == (d_c_prime ? 10 : 8));
    for (std::size_t i = 0; i < weights.size(); ++i) {
      CAPTURE(weights[i].name);
      CHECK(derivative_error(f, *weights[i].value, *gradients[i].value, 4 + i) < 1e-7);
    }
  }
}

TEST_CASE("MLA: the weight gradients of two calls add up") {
  const MlaConfig config = example_config();
  const Mla mla(config);
  const auto p = example_weights(config);
  const Context context = context_of({{6, 0}});
  const Matrix h = probe(6, config.d, 1), du = probe(6, config.d, 2);
  auto once = zeros(mla_shapes(config)), twice = once;
  for (auto* grads : {&once, &twice, &twice}) {
    auto [u, stored] = mla.forward(p, h, context);
    auto [dh, deferred] = mla.backward_input(p, std::move(stored), Matrix(h), Matrix(du), context);
    mla.backward_weight(std::move(deferred), *grads, context);
  }
  auto a = tensors_of(once), b = tensors_of(twice);
  for (std::size_t i = 0; i < a.size(); ++i) {
    CAPTURE(a[i].name);
    CHECK(max_abs(*a[i].value) > 0);
    CHECK(outside(2 * *a[i].value, *b[i].value, 1e-12) == "");  // sums of six terms near 1 to 10
  }
}

TEST_CASE("MLA: the latent is normalised, the rotary key is not") {
  MlaConfig config = example_config();
  config.eps = 1e-30;  // far below the last bit of mean(c^2): doubling a latent changes nothing behind its norm
  const auto p = example_weights(config);
  const Context context = context_of({{9, 0}});
  const Matrix h = probe(9, config.d, 1), u = u_of(config, p, h, context);
  auto doubled = p;
  doubled.W_DKV *= 2;
  doubled.W_DQ *= 2;
  CHECK(different(u_of(config, doubled, h, context), u) == "");
  doubled.W_KR *= 2;
  CHECK(outside(u_of(config, doubled, h, context), u, 0.01) != "");
}

TEST_CASE("MLA: mscale^2 is on the content part of the logit as on the rotary one") {
  const MlaConfig config = example_config(), plain = without_yarn(config);
  auto p = example_weights(config);
  p.W_KR.setZero();  // scores of content alone
  const Context context = context_of({{9, 0}});
  const Matrix h = probe(9, config.d, 1), u = u_of(config, p, h, context);
  CHECK(outside(u_of(plain, p, h, context), u, 0.01) != "");
  const double mscale = yarn_mscale(config.rope.yarn->factor, config.rope.yarn->mscale_all_dim);
  p.W_UQ *= mscale * mscale;
  CHECK(outside(u_of(plain, p, h, context), u, 1e-12) == "");  // u near 1
}

TEST_CASE("MLA: YaRN acts on a prompt of three tokens as soon as the configured length calls for it") {
  MlaConfig config = example_config(), shorter = config;
  shorter.rope.max_length = config.rope.yarn->original_length;
  const auto p = example_weights(config);
  const Context context = context_of({{3, 0}});
  const Matrix h = probe(3, config.d, 1);
  CHECK(outside(u_of(config, p, h, context), u_of(shorter, p, h, context), 1e-3) != "");
  CHECK(different(u_of(shorter, p, h, context), u_of(without_yarn(config), p, h, context)) == "");
}

TEST_CASE("MLA: a head's rows are one block of each up-projection, and its output one block of o") {
  const MlaConfig config = example_config();
  const Mla mla(config);
  auto p = example_weights(config);
  const Context context = context_of({{9, 0}});
  const Matrix h = probe(9, config.d, 1), o = mla.forward(p, h, context).stored.o.value();
  p.W_UQ.middleRows(6, 6) *= 2;  // head 1 of three
  p.W_QR.middleRows(8, 8) *= 3;
  p.W_UK.middleRows(6, 6) *= 2;
  p.W_UV.middleRows(5, 5) *= 2;
  const Matrix other = mla.forward(p, h, context).stored.o.value();
  CHECK(different(o.leftCols(5), other.leftCols(5)) == "");
  CHECK(different(o.rightCols(5), other.rightCols(5)) == "");
  CHECK(outside(o.middleCols(5, 5), other.middleCols(5, 5), 0.1) != "");
}

TEST_CASE("MLA: only distances between positions matter") {
  const MlaConfig config = example_config();
  const auto p = example_weights(config);
  const Matrix h = probe(9, config.d, 1);
  CHECK(outside(u_of(config, p, h, context_of({{9, 0}})), u_of(config, p, h, context_of({{9, 100}})), 1e-12) == "");
}
