// SPDX-License-Identifier: MIT
#include "reference/mla/attention.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("attend_backward: gradients of q, k and v over several blocks, and with tokens before the queries") {
  for (const Index before : {0, 17}) {
    const Index n = 130, m = n + before;
    Matrix q = probe(n, 6, 1), k = probe(m, 6, 2), v = probe(m, 5, 3), o(n, 5), lse(n, 1);
    const Matrix d_o = probe(n, 5, 4);
    const auto f = [&] {
      attend(o, lse, q, k, v, 0.7);
      return (o.array() * d_o.array()).sum();
    };
    f();
    Matrix dq = probe(n, 6, 5), dk = probe(m, 6, 6), dv = probe(m, 5, 7);  // written, whatever they held
    attend_backward(dq, dk, dv, q, k, v, o, lse, d_o, 0.7);
    CHECK(derivative_error(f, q, dq, 8) < 1e-7);
    CHECK(derivative_error(f, k, dk, 9) < 1e-7);
    CHECK(derivative_error(f, v, dv, 10) < 1e-7);
  }
}
