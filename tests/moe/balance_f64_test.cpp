// SPDX-License-Identifier: MIT
#include "reference/moe/balance.hpp"

#include "tests/moe/fixture.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("balance: balance_backward is the derivative of the loss for the scores, f being held") {
  const GateConfig c = v3_gate();
  Matrix logits = probe(9, 16, 1);
  for (const BalanceScope scope : {BalanceScope::sequence, BalanceScope::batch})
    for (const BalanceCount counted : {BalanceCount::report, BalanceCount::routed}) {
      Sequences sequences;
      sequences.add(4, 0), sequences.add(5, 0);
      const BalanceLoss terms{0.3, scope, 0.5};
      Routing r = route_logits(c, logits, Matrix::Zero(1, 16));
      const Balance at = balance_loss(c, r, sequences, terms, counted);
      // f counts: it jumps where two scores meet and is constant elsewhere. Eqs. (17), (19), (20) with f held:
      const auto f = [&] {
        double loss = 0;
        for (Index t = 0; t < 9; ++t) {
          const Index part = scope == BalanceScope::batch || t < 4 ? 0 : 1;
          const double T = scope == BalanceScope::batch ? 9 : part == 0 ? 4 : 5;
          for (Index i = 0; i < 16; ++i) loss += at.f(part, i) * r.s(t, i) / r.s.row(t).sum() / T;
        }
        return 0.3 * 0.5 * loss;
      };
      CHECK(f() == doctest::Approx(at.loss).epsilon(1e-12));
      const Matrix ds = balance_backward(r, sequences, terms, at.f);
      CHECK(derivative_error(f, r.s, ds, 3) < 1e-7);
    }
}
