// SPDX-License-Identifier: MIT
#include "reference/moe/gate.hpp"

#include "reference/moe/balance.hpp"
#include "tests/moe/fixture.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("gate: gate_backward is the derivative of the weights, for both scores, normalised or not") {
  for (const Scoring scoring : {Scoring::sigmoid, Scoring::softmax})
    for (const bool normalise : {true, false}) {
      CAPTURE(static_cast<int>(scoring));
      CAPTURE(normalise);
      GateConfig c = v3_gate();
      c.scoring = scoring, c.normalise = normalise;
      // Every expert an offset of its own: 0.3 apart, so no step changes the choice.
      Matrix logits = real(0.02) * probe(9, 16, 1);
      for (Index i = 0; i < 16; ++i) logits.col(i).array() += 0.3 * static_cast<double>((7 * i) % 16) - 2;
      const Matrix b = 0.001 * probe(1, 16, 2), dg = probe(9, 4, 3);
      const auto f = [&] { return (route_logits(c, logits, b).g.array() * dg.array()).sum(); };
      const Matrix dlogits = gate_backward(c, route_logits(c, logits, b), dg);
      CHECK(derivative_error(f, logits, dlogits, 4) < 1e-7);
    }
}

TEST_CASE("gate: a gradient of s from elsewhere is added before the score's own gradient") {
  for (const Scoring scoring : {Scoring::sigmoid, Scoring::softmax}) {
    GateConfig c = v3_gate();
    c.scoring = scoring;
    Matrix logits = real(0.02) * probe(5, 16, 1);
    for (Index i = 0; i < 16; ++i) logits.col(i).array() += 0.3 * static_cast<double>((7 * i) % 16) - 2;
    const Matrix b = Matrix::Zero(1, 16), dg = probe(5, 4, 3), ds = probe(5, 16, 4);
    const auto f = [&] {
      const Routing r = route_logits(c, logits, b);
      return (r.g.array() * dg.array()).sum() + (r.s.array() * ds.array()).sum();
    };
    const Matrix dlogits = gate_backward(c, route_logits(c, logits, b), dg, ds);
    CHECK(derivative_error(f, logits, dlogits, 5) < 1e-7);
  }
}
