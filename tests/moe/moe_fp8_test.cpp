// SPDX-License-Identifier: MIT
#include "reference/core/bytes.hpp"
#include "reference/linear/linear.hpp"
#include "reference/moe/moe.hpp"
#include "tests/moe/fixture.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

Context fp8_context(bool dispatched = false) {
  Context context;
  context.precision = Precision::fp8;
  context.dispatched = dispatched;
  return context;
}

}  // namespace

TEST_CASE("swiglu in fp8: powers of two for what dispatch brings; B and W read a and b from their codes") {
  const Moe moe(small_moe(v3_gate()));
  const SwigluWeights<Matrix> p = random_weights(moe.config, 1).experts[0];
  const Matrix u = probe(10, 12, 2), dh = probe(10, 12, 3);
  const SwigluFfn ffn;
  for (const bool dispatched : {false, true}) {
    CAPTURE(dispatched);
    const Context context = fp8_context(dispatched);
    const Precision plain = Precision::fp8, by_dispatch = dispatched ? plain.with_powers_of_two() : plain;
    const Matrix a = fprop(p.W_gate, u, by_dispatch), b = fprop(p.W_up, u, by_dispatch);
    const Matrix z = ffn.recompute(p, {Kept(a), Kept(b)}, u, context).z;
    auto [h, stored] = ffn.forward(p, u, context);
    CHECK(different(h, fprop(p.W_down, z, plain)) == "");  // F reads a and b as they are
    const SwigluFfn::Stored kept{Kept::in_fp8(a, {}), Kept::in_fp8(b, {})};
    CHECK(different(stored.a.value(), kept.a.value()) == "");
    CHECK(different(stored.b.value(), kept.b.value()) == "");
    const Matrix z_seen = ffn.recompute(p, kept, u, context).z;
    REQUIRE(different(z_seen, z) != "");
    const auto [da, db] = swiglu_backward(SwigluFfn::Stored(kept), dgrad(p.W_down, dh, by_dispatch));
    auto [du, deferred] = ffn.backward_input(p, std::move(stored), Matrix(u), Matrix(dh), context);
    CHECK(different(du, dgrad(p.W_gate, da, plain) + dgrad(p.W_up, db, plain)) == "");
    SwigluWeights<Matrix> grads = zeros(swiglu_shapes(12, p.W_gate.rows())), expected = grads;
    ffn.backward_weight(std::move(deferred), grads, context);
    wgrad(expected.W_down, dh, z_seen, by_dispatch);
    wgrad(expected.W_gate, da, u, by_dispatch);
    wgrad(expected.W_up, db, u, by_dispatch);
    CHECK(different(grads.W_down, expected.W_down) == "");
    CHECK(different(grads.W_gate, expected.W_gate) == "");
    CHECK(different(grads.W_up, expected.W_up) == "");
  }
}

TEST_CASE("moe in fp8: tokens come to routed experts through dispatch, to the shared one they do not") {
  const Moe moe(small_moe(v3_gate()));
  const auto w = random_weights(moe.config, 1);
  const Matrix u = probe(40, 12, 2), dh = probe(40, 12, 3);
  const Pass pass = run(moe, w, u, dh, fp8_context());
  const SwigluFfn ffn;
  const Routing routing = route(moe.config.gate, w.e, w.b, u);
  const Dispatch dispatch = sort_by_expert(routing.experts, 16);
  Matrix y(dispatch.rows(), 12), du_rows(dispatch.rows(), 12), dg(40, moe.config.gate.K_r);
  for (Index i = 0; i < 16; ++i) {
    if (dispatch.rows(i) == 0) continue;
    const auto expert = static_cast<std::size_t>(i);
    const Matrix u_i = gather(u, dispatch.tokens(i)), g = gather_weights(dispatch, routing.g, i);
    auto [y_i, stored] = ffn.forward(w.experts[expert], u_i, fp8_context(true));
    y.middleRows(dispatch.expert_begin[expert], y_i.rows()) = y_i;
    Matrix dy = gather(dh, dispatch.tokens(i));
    const Matrix z = ffn.recompute(w.experts[expert], stored, u_i, fp8_context(true)).z;
    Matrix dz = dgrad(w.experts[expert].W_down, dy, Precision(Precision::fp8).with_powers_of_two());
    for (Index r = 0; r < dy.rows(); ++r) {
      const auto row = static_cast<std::size_t>(dispatch.expert_begin[expert] + r);
      dg(dispatch.token_of_row[row], dispatch.slot_of_row[row]) = z.row(r).cwiseProduct(dz.row(r)).sum();
    }
    for (Index r = 0; r < dy.rows(); ++r) dy.row(r) *= g(r, 0), dz.row(r) *= g(r, 0);
    const auto [da, db] = swiglu_backward(std::move(stored), dz);
    du_rows.middleRows(dispatch.expert_begin[expert], y_i.rows()) =
        dgrad(w.experts[expert].W_gate, da, Precision::fp8) + dgrad(w.experts[expert].W_up, db, Precision::fp8);
    auto expected = zeros(swiglu_shapes(12, z.cols()));
    wgrad(expected.W_down, dy, z, Precision(Precision::fp8).with_powers_of_two());
    wgrad(expected.W_gate, da, u_i, Precision(Precision::fp8).with_powers_of_two());
    CAPTURE(i);
    CHECK(different(pass.grads.experts[expert].W_down, expected.W_down) == "");
    CHECK(different(pass.grads.experts[expert].W_gate, expected.W_gate) == "");
  }
  auto [of_shared, ab] = ffn.forward(w.shared, u, fp8_context());
  Matrix du = ffn.backward_input(w.shared, std::move(ab), Matrix(u), Matrix(dh), fp8_context()).dx;
  const Matrix dlogits = gate_backward(moe.config.gate, routing, dg, {});  // the gate is not in FP8
  add_scattered(du, dispatch, du_rows);
  du += dgrad(w.e, dlogits);
  CHECK(different(pass.du, du) == "");
  Matrix de = Matrix::Zero(16, 12);
  wgrad(de, dlogits, u);
  CHECK(different(pass.grads.e, de) == "");
  Matrix h = of_shared;
  add_combined(h, dispatch, routing.g, y);
  CHECK(different(pass.h, h) == "");
}

TEST_CASE("swiglu and moe in fp8: a and b from F to B, and what W reads, in little more than a quarter of the bytes") {
  constexpr Index T = 128, d = 64, f = 96;  // whole groups along the tokens; three quarters along the channels
  MoeConfig config{d, f, f, v3_gate()};
  const auto w = random_weights(config, 1);
  const Matrix u = probe(T, d, 2), dh = probe(T, d, 3);
  const SwigluFfn ffn;
  const Moe moe(config);
  struct Bytes {
    std::size_t ab, deferred, expert_ab, expert_deferred;
  };
  const auto bytes = [&](const Context& context) {
    auto stored = ffn.forward(w.shared, u, context).stored;
    Bytes b{bytes_of(stored), 0, 0, 0};
    b.deferred = bytes_of(ffn.backward_input(w.shared, std::move(stored), Matrix(u), Matrix(dh), context).deferred);
    auto of_moe = moe.forward(w, u, context).stored;
    b.expert_ab = bytes_of(of_moe.experts);
    auto deferred = moe.backward_input(w, std::move(of_moe), Matrix(u), Matrix(dh), context).deferred;
    b.expert_deferred = bytes_of(deferred.experts);
    return b;
  };
  const Bytes plain = bytes({}), fp8 = bytes(fp8_context());
  const auto ratio = [](std::size_t a, std::size_t b) { return static_cast<double>(a) / static_cast<double>(b); };
  const double of_real = 4.0 / sizeof(real);
  CHECK(plain.ab == 2 * T * f * sizeof(real));
  CHECK(plain.deferred == (2 * d + 3 * f) * T * sizeof(real));
  CHECK(ratio(fp8.ab, plain.ab) < 0.27 * of_real);
  CHECK(ratio(fp8.deferred, plain.deferred) < 0.26 * of_real);
  CHECK(ratio(fp8.expert_ab, plain.expert_ab) < 0.27 * of_real);
  CHECK(ratio(fp8.expert_deferred, plain.expert_deferred) < 0.3 * of_real);  // an expert has 32 tokens to a scale
}

TEST_CASE("swiglu in fp8: a recipe that keeps nothing in FP8 keeps a and b as they are") {
  const Moe moe(small_moe(v3_gate()));
  const SwigluWeights<Matrix> p = random_weights(moe.config, 1).experts[0];
  Context context;
  context.precision = Fp8Recipe{.keep_in_fp8 = false};
  const Matrix u = probe(10, 12, 2);
  const auto stored = SwigluFfn{}.forward(p, u, context).stored;
  CHECK(different(stored.a.value(), fprop(p.W_gate, u, context.precision)) == "");
  CHECK(different(stored.b.value(), fprop(p.W_up, u, context.precision)) == "");
}
