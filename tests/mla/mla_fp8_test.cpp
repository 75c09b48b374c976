// SPDX-License-Identifier: MIT
#include <map>

#include "reference/linear/linear.hpp"
#include "reference/mla/mla.hpp"
#include "tests/mla/example.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("MLA in fp8: W_O reads o with powers of two as scales; o waits in E5M6, which is what W reads") {
  const MlaConfig config = example_config(14);
  const Mla mla(config);
  const auto p = example_weights(config);
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
  CHECK(different(deferred.o, kept) == "");
  mla.backward_weight(std::move(deferred), grads, context);
  wgrad(expected.W_O, du, kept, fp8.with_powers_of_two().with_kept_x());
  CHECK(different(grads.W_O, expected.W_O) == "");
}
