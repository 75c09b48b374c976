// SPDX-License-Identifier: MIT
/// \file
/// Configurations in which every rule of the gate can go wrong, and inputs that sit safely inside one routing.
#pragma once
#include "reference/core/random.hpp"
#include "reference/moe/moe.hpp"
#include "tests/support/compare.hpp"

namespace dsv3::test {

/// 16 experts in 4 groups, 2 groups kept, 4 experts chosen.
inline GateConfig v3_gate() {
  GateConfig c;
  c.N_r = 16, c.K_r = 4, c.num_groups = 4, c.kept_groups = 2, c.routed_scaling_factor = 2.5;
  return c;
}

/// 8 experts in 4 groups, 2 groups kept, 2 experts chosen.
inline GateConfig golden_gate() {
  GateConfig c;
  c.N_r = 8, c.K_r = 2, c.num_groups = 4, c.kept_groups = 2, c.routed_scaling_factor = 2.5;
  return c;
}

inline GateConfig v2_gate() {
  GateConfig c = v3_gate();
  c.scoring = Scoring::softmax, c.group_score = GroupScore::maximum;
  c.has_bias = false, c.normalise = false, c.routed_scaling_factor = 16;
  return c;
}

inline MoeConfig small_moe(const GateConfig& gate) { return {12, 10, 6, gate}; }

/// Random weights; biases between -1.3 and -0.3, so that every biased score can be negative.
inline MoeWeights<Matrix> random_weights(const MoeConfig& config, std::uint64_t seed) {
  MoeWeights<Matrix> w = zeros(moe_shapes(config));
  Random random(seed);
  for (auto& [name, role, value] : tensors_of(w))
    *value = normal_matrix(value->rows(), value->cols(), role == Role::bias ? 0.1 : 0.4, random);
  w.b.array() -= real(0.8);
  return w;
}

/// T tokens whose choice of experts, and whose K_r largest scores without bias and groups, stay the same under small
/// changes: a derivative across a change of experts does not exist.
inline Matrix tokens_with_margin(const MoeConfig& config, const MoeWeights<Matrix>& w, Index T, std::uint64_t seed) {
  const Matrix drawn = probe(8 * T, config.d, seed);
  if (config.gate.N_r == 0) return drawn.topRows(T);
  GateConfig plain = config.gate;
  plain.num_groups = plain.kept_groups = 1, plain.has_bias = false;
  const Matrix margin = route(config.gate, w.e, w.b, drawn).margin, plain_margin = route(plain, w.e, {}, drawn).margin;
  Matrix u(T, config.d);
  Index kept = 0;
  const real enough = config.gate.scoring == Scoring::sigmoid ? real(0.02) : real(0.004);
  for (Index t = 0; t < drawn.rows() && kept < T; ++t)
    if (margin(t, 0) > enough && plain_margin(t, 0) > enough) u.row(kept++) = drawn.row(t);
  REQUIRE(kept == T);
  return u;
}

/// F, B and W of one call.
struct Pass {
  Matrix h, du;
  double balance_loss;
  MoeWeights<Matrix> grads;
};

inline Pass run(const Moe& moe, const MoeWeights<Matrix>& w, const Matrix& u, const Matrix& dh,
                const Context& context) {
  auto [h, stored] = moe.forward(w, u, context);
  Pass pass{h, {}, stored.balance_loss, zeros(moe_shapes(moe.config))};
  auto [du, deferred] = moe.backward_input(w, std::move(stored), Matrix(u), Matrix(dh), context);
  moe.backward_weight(std::move(deferred), pass.grads, context);
  pass.du = du;
  return pass;
}

}  // namespace dsv3::test
