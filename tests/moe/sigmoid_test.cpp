// SPDX-License-Identifier: MIT
#include "reference/moe/sigmoid.hpp"

#include <cmath>
#include <vector>

#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("sigmoid, exponential: the bits depend on the value alone, not on where it stands or how many there are") {
  const Matrix values = 5 * probe(1, 64, 1);
  for (Index i = 0; i < values.size(); ++i)
    for (Index n : {1, 7, 8, 16, 17, 33})
      for (Index offset = 0; offset < 9; ++offset) {
        const Matrix x = Matrix::Constant(1, n + offset, values(0, i));
        Matrix s(1, n + offset), e(1, n + offset);
        sigmoid(x.data() + offset, s.data() + offset, n);
        exponential(x.data() + offset, e.data() + offset, n);
        real s_alone, e_alone;
        sigmoid(&values(0, i), &s_alone, 1);
        exponential(&values(0, i), &e_alone, 1);
        REQUIRE(different(s.rightCols(n), Matrix::Constant(1, n, s_alone)) == "");
        REQUIRE(different(e.rightCols(n), Matrix::Constant(1, n, e_alone)) == "");
      }
}

TEST_CASE("sigmoid, exponential: within 4 epsilon of the C library's exp over the whole range") {
  for (double x = -87; x <= 87; x += 0.0137) {
    real in = static_cast<real>(x), s, e;
    sigmoid(&in, &s, 1);
    exponential(&in, &e, 1);
    const double exact_e = std::exp(double{in}), exact_s = 1 / (1 + std::exp(-double{in}));
    REQUIRE(std::abs(e - exact_e) <= 4 * 0x1p-23 * exact_e);
    REQUIRE(std::abs(s - exact_s) <= 4 * 0x1p-23 * exact_s);
  }
}

TEST_CASE("sigmoid: far out it stays positive, finite and at most 1") {
  for (double x : {-1e30, -1000.0, -100.0, 100.0, 1000.0, 1e30}) {
    const real in = static_cast<real>(x);
    real s;
    sigmoid(&in, &s, 1);
    CHECK(s >= 0);
    CHECK(s <= 1);
    CHECK((x > 0 ? s == 1 : s < real(1e-37)));
  }
}
