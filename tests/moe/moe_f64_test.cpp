// SPDX-License-Identifier: MIT
#include "reference/moe/moe.hpp"

#include "tests/moe/fixture.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// Largest derivative error over the input and every tensor but b.
void check_gradients(const MoeConfig& config, const Context& context) {
  constexpr Index T = 24;
  const Moe moe(config);
  MoeWeights<Matrix> w = random_weights(config, 1), grads = zeros(moe_shapes(config));
  Matrix u = tokens_with_margin(config, w, T, 2);
  const Matrix dh = probe(T, config.d, 3);
  const auto f = [&] {
    const auto [h, stored] = moe.forward(w, u, context);
    return (h.array() * dh.array()).sum() + stored.balance_loss;
  };
  auto back = moe.backward_input(w, moe.forward(w, u, context).stored, Matrix(u), Matrix(dh), context);
  moe.backward_weight(std::move(back.deferred), grads, context);
  CHECK(derivative_error(f, u, back.dx, 4) < 1e-7);
  const auto values = tensors_of(w), gradients = tensors_of(grads);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i].role == Role::bias) continue;
    CAPTURE(values[i].name);
    CHECK(derivative_error(f, *values[i].value, *gradients[i].value, 5 + i) < 1e-7);
  }
}

Context three_sequences(double alpha, BalanceScope scope) {
  Context context;
  context.sequences.add(7, 0), context.sequences.add(12, 0), context.sequences.add(5, 0);
  context.balance = {alpha, scope, 1.0 / 3};
  return context;
}

}  // namespace

TEST_CASE("moe: gradients of the input and of every weight, V3 gate") { check_gradients(small_moe(v3_gate()), {}); }

TEST_CASE("moe: gradients with the V2 gate") { check_gradients(small_moe(v2_gate()), {}); }

TEST_CASE("moe: gradients without normalisation") {
  GateConfig gate = v3_gate();
  gate.normalise = false;
  check_gradients(small_moe(gate), {});
}

TEST_CASE("moe: gradients of a dense layer") { check_gradients(small_moe({}), {}); }

TEST_CASE("moe: gradients with the balance loss of each sequence and of the batch") {
  // alpha is large, so that a wrong gradient of the loss cannot hide behind that of h'.
  for (const BalanceScope scope : {BalanceScope::sequence, BalanceScope::batch}) {
    check_gradients(small_moe(v3_gate()), three_sequences(20, scope));
    check_gradients(small_moe(v2_gate()), three_sequences(20, scope));
  }
}
