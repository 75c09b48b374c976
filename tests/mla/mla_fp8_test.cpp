// SPDX-License-Identifier: MIT
#include <map>

#include "reference/core/bytes.hpp"
#include "reference/linear/linear.hpp"
#include "reference/mla/mla.hpp"
#include "tests/mla/example.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("MLA in fp8: W_O reads o with powers of two as scales; o waits in E5M6, which is what W reads") {
  const MlaConfig config = example_config(14);
  const Mla mla(config);
  auto p = example_weights(config);
  p.W_UV.topRows(5) *= real(1e5);  // the first head: the others are below the normal numbers of a token's tile
  Context context = context_of({{9, 0}});
  context.precision = Precision::fp8;
  std::map<std::string, Matrix> shown;
  context.tap = [&](const std::string& name, const Matrix& value) { shown[name] = value; };
  const Matrix h = probe(9, config.d, 1), du = probe(9, config.d, 2);
  auto [u, stored] = mla.forward(p, h, context);
  const Matrix o = shown.at("o"), kept = stored.o.value();
  const Precision fp8 = Precision::fp8;
  CHECK(different(stored.c_KV, fprop(p.W_DKV, h, fp8)) == "");
  CHECK(different(u, fprop(p.W_O, o, fp8.with_powers_of_two())) == "");
  CHECK(different(u, fprop(p.W_O, o, fp8)) != "");
  CHECK(different(kept, Kept::in_e5m6(o).value()) == "");
  REQUIRE(different(kept, o) != "");

  auto grads = zeros(mla_shapes(config)), expected = grads;
  auto [dh, deferred] = mla.backward_input(p, std::move(stored), Matrix(h), Matrix(du), context);
  mla.backward_weight(std::move(deferred), grads, context);
  wgrad(expected.W_O, du, kept, fp8.with_powers_of_two().with_kept_x());
  CHECK(different(grads.W_O, expected.W_O) == "");
}

TEST_CASE("MLA in fp8: what W reads waits as codes; W gives the bits of the matrices that B had") {
  for (const Index d_c_prime : {14, 0}) {  // W_UQ and W_QR read c_Q_hat, or h
    CAPTURE(d_c_prime);
    const MlaConfig config = example_config(d_c_prime);
    const Mla mla(config);
    const auto p = example_weights(config);
    Context context = context_of({{128, 0}});
    const Matrix h = probe(128, config.d, 1), du = probe(128, config.d, 2);
    const auto operands = [&](const Context& of) {
      auto stored = mla.forward(p, h, of).stored;
      const auto w = mla.backward_input(p, std::move(stored), Matrix(h), Matrix(du), of).deferred;
      return bytes_of(w) - bytes_of_all(w.g_Q, w.g_KV);  // a norm's are no operands of a Linear
    };
    const std::size_t plain = operands(context);
    context.precision = Precision::fp8;
    CHECK(static_cast<double>(operands(context)) < 0.26 * 4 / sizeof(real) * static_cast<double>(plain));

    Context hybrid = context;
    hybrid.precision = Fp8Recipe{.gradient = FormatId::e5m2};
    const auto of_hybrid =
        mla.backward_input(p, mla.forward(p, h, hybrid).stored, Matrix(h), Matrix(du), hybrid).deferred;
    const auto& [h_q, dc_Q, dc_KV, dk_R, c_Q_hat, dq_C, dq_R, c_KV_hat, dk_C, dv_C, o, du_q, g_Q, g_KV] = of_hybrid;
    for (const Kept* x : {&h_q, &c_Q_hat, &c_KV_hat, &o}) CHECK(x->codes()->format == FormatId::e4m3);
    for (const Kept* dy : {&dc_Q, &dc_KV, &dk_R, &dq_C, &dq_R, &dk_C, &dv_C, &du_q})
      CHECK(dy->codes()->format == FormatId::e5m2);

    auto [u, stored] = mla.forward(p, h, context);
    const Mla::Recomputed r = mla.recompute(p, stored, h, context);
    auto grads = zeros(mla_shapes(config)), expected = grads;
    auto [dh, w] = mla.backward_input(p, std::move(stored), Matrix(h), Matrix(du), context);
    const Precision fp8 = Precision::fp8;
    wgrad(expected.W_DKV, w.dc_KV, keep_x(p.W_DKV, h, fp8), fp8);
    wgrad(expected.W_KR, w.dk_R, keep_x(p.W_KR, h, fp8), fp8);
    wgrad(expected.W_UK, w.dk_C, keep_x(p.W_UK, r.c_KV_hat, fp8), fp8);
    wgrad(expected.W_UV, w.dv_C, keep_x(p.W_UV, r.c_KV_hat, fp8), fp8);
    const Matrix& q_reads = d_c_prime > 0 ? r.q.c_Q_hat : h;
    wgrad(expected.W_UQ, w.dq_C, keep_x(p.W_UQ, q_reads, fp8), fp8);
    wgrad(expected.W_QR, w.dq_R, keep_x(p.W_QR, q_reads, fp8), fp8);
    if (d_c_prime > 0) wgrad(expected.W_DQ, w.dc_Q, keep_x(p.W_DQ, h, fp8), fp8);
    mla.backward_weight(std::move(w), grads, context);
    CHECK(different(grads.W_DKV, expected.W_DKV) == "");
    CHECK(different(grads.W_KR, expected.W_KR) == "");
    CHECK(different(grads.W_UK, expected.W_UK) == "");
    CHECK(different(grads.W_UV, expected.W_UV) == "");
    CHECK(different(grads.W_UQ, expected.W_UQ) == "");
    CHECK(different(grads.W_QR, expected.W_QR) == "");
    if (d_c_prime > 0) CHECK(different(grads.W_DQ, expected.W_DQ) == "");
  }
}

TEST_CASE("MLA in fp8: a recipe that keeps nothing in FP8 keeps o as it is, and W quantises it twice") {
  const MlaConfig config = example_config(14);
  const Mla mla(config);
  const auto p = example_weights(config);
  Context context = context_of({{9, 0}});
  context.precision = Fp8Recipe{.keep_in_fp8 = false};
  Matrix o;
  context.tap = [&](const std::string& name, const Matrix& value) {
    if (name == "o") o = value;
  };
  const Matrix h = probe(9, config.d, 1), du = probe(9, config.d, 2);
  auto [u, stored] = mla.forward(p, h, context);
  CHECK(different(stored.o.value(), o) == "");
  auto grads = zeros(mla_shapes(config)), expected = grads;
  auto [dh, deferred] = mla.backward_input(p, std::move(stored), Matrix(h), Matrix(du), context);
  mla.backward_weight(std::move(deferred), grads, context);
  wgrad(expected.W_O, du, o, context.precision.with_powers_of_two());
  CHECK(different(grads.W_O, expected.W_O) == "");
}
