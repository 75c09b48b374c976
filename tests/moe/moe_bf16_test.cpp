// SPDX-License-Identifier: MIT
#include <map>

#include "reference/linear/linear.hpp"
#include "reference/moe/moe.hpp"
#include "tests/moe/fixture.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("moe: the gate runs in real at bf16: same logits and experts, another h'") {
  const Moe moe(small_moe(v3_gate()));
  const auto w = random_weights(moe.config, 1);
  const Matrix u = tokens_with_margin(moe.config, w, 100, 2);
  Context bf16, fp32;
  bf16.precision = Precision::bf16;
  std::map<std::string, Matrix> shown, shown_bf16;
  fp32.tap_prefix = bf16.tap_prefix = "layers.3.";
  fp32.tap = [&](const std::string& name, const Matrix& value) { shown[name] = value; };
  bf16.tap = [&](const std::string& name, const Matrix& value) { shown_bf16[name] = value; };
  const Matrix h = moe.forward(w, u, fp32).y, h_bf16 = moe.forward(w, u, bf16).y;
  for (const char* name : {"router_logits", "topk_experts", "topk_weights", "selection_margin"})
    CHECK(different(shown.at(concat("layers.3.", name)), shown_bf16.at(concat("layers.3.", name))) == "");
  CHECK(different(shown.at("layers.3.router_logits"), fprop(w.e, u)) == "");
  CHECK(outside(h, h_bf16, 1e-4) != "");
  CHECK(outside(h, h_bf16, 0.03 * max_abs(h)) == "");  // about four roundings of 2^-9 and their sums
}

TEST_CASE(
    "moe in bf16: every product of an expert's B and W is the Linear of its operands in bf16; the gate's is not") {
  const Moe moe(small_moe(v3_gate()));
  const auto w = random_weights(moe.config, 1);
  const Matrix u = probe(40, 12, 2), dh = probe(40, 12, 3);
  Context context;
  context.precision = Precision::bf16;
  const Pass pass = run(moe, w, u, dh, context);

  const SwigluFfn ffn;
  const Routing routing = route(moe.config.gate, w.e, w.b, u);
  const Dispatch dispatch = sort_by_expert(routing.experts, 16);
  Matrix dg(40, 4), du_rows(dispatch.rows(), 12);
  auto expected = zeros(moe_shapes(moe.config));
  for (Index i = 0; i < 16; ++i) {
    if (dispatch.rows(i) == 0) continue;
    const auto& p = w.experts[static_cast<std::size_t>(i)];
    auto& grads = expected.experts[static_cast<std::size_t>(i)];
    const Matrix u_i = gather(u, dispatch.tokens(i)), dh_i = gather(dh, dispatch.tokens(i));
    const Matrix g = gather_weights(dispatch, routing.g, i);
    SwigluFfn::Stored ab = ffn.forward(p, u_i, context).stored;
    const Matrix z = ffn.recompute(p, ab, u_i, context).z;
    Matrix dz = dgrad(p.W_down, dh_i, Precision::bf16), dy = dh_i;
    const Index begin = dispatch.expert_begin[static_cast<std::size_t>(i)];
    for (Index r = 0; r < z.rows(); ++r) {
      const auto row = static_cast<std::size_t>(begin + r);
      dg(dispatch.token_of_row[row], dispatch.slot_of_row[row]) = z.row(r).cwiseProduct(dz.row(r)).sum();
      dz.row(r) *= g(r, 0);
      dy.row(r) *= g(r, 0);
    }
    const auto [da, db] = swiglu_backward(std::move(ab), dz);
    du_rows.middleRows(begin, z.rows()) = dgrad(p.W_gate, da, Precision::bf16);
    du_rows.middleRows(begin, z.rows()) += dgrad(p.W_up, db, Precision::bf16);
    wgrad(grads.W_down, dy, z, Precision::bf16);
    wgrad(grads.W_gate, da, u_i, Precision::bf16);
    wgrad(grads.W_up, db, u_i, Precision::bf16);
    CAPTURE(i);
    const auto& ours = pass.grads.experts[static_cast<std::size_t>(i)];
    CHECK(different(ours.W_down, grads.W_down) == "");
    CHECK(different(ours.W_gate, grads.W_gate) == "");
    CHECK(different(ours.W_up, grads.W_up) == "");
  }
  const Matrix dlogits = gate_backward(moe.config.gate, routing, dg);
  wgrad(expected.e, dlogits, u);
  CHECK(different(pass.grads.e, expected.e) == "");
  SwigluFfn::Stored shared = ffn.forward(w.shared, u, context).stored;
  Matrix du = ffn.backward_input(w.shared, std::move(shared), Matrix(u), Matrix(dh), context).dx;
  add_scattered(du, dispatch, du_rows);
  CHECK(different(pass.du, du + dgrad(w.e, dlogits)) == "");
}
