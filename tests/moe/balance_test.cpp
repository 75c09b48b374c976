// SPDX-License-Identifier: MIT
#include "reference/moe/balance.hpp"

#include <omp.h>

#include <algorithm>
#include <cmath>

#include "tests/moe/fixture.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// A routing of given scores; experts as the gate would choose them without bias and groups.
Routing routing_of(const Matrix& s, Index K_r) {
  GateConfig c;
  c.N_r = s.cols(), c.K_r = K_r, c.has_bias = false;
  Routing r = route_logits(c, (s.array() / (1 - s.array())).log().matrix(), {});
  r.s = s;
  return r;
}

GateConfig plain(Index N_r, Index K_r) {
  GateConfig c;
  c.N_r = N_r, c.K_r = K_r;
  return c;
}

const Matrix golden_s = matrix({{.9, .6, .3, .2}, {.8, .1, .7, .4}, {.5, .45, .2, .85}});

}  // namespace

TEST_CASE("balance: golden bias update: overloaded down, underloaded up by gamma; MaxVio") {
  const std::vector<Index> load{10, 2, 4, 8};
  Matrix b = Matrix::Zero(1, 4);
  update_bias(b, load, 0.001);
  CHECK(outside(b, matrix({{-0.001, 0.001, 0.001, -0.001}}), 1e-10) == "");  // 0.001 in FP32
  CHECK(max_violation(load) == doctest::Approx(10.0 / 6 - 1));
}

TEST_CASE("balance: an expert with exactly the mean load keeps its bias; gamma 0 changes nothing") {
  Matrix b = matrix({{1, 2, 3}});
  update_bias(b, {3, 2, 1}, 0.5);
  CHECK(different(b, matrix({{0.5, 2, 3.5}})) == "");
  update_bias(b, {7, 0, 0}, 0);
  CHECK(different(b, matrix({{0.5, 2, 3.5}})) == "");
  update_bias(b, {0, 0, 0}, 0.5);  // nothing was routed
  CHECK(different(b, matrix({{0.5, 2, 3.5}})) == "");
  // A mean that is no integer (7/3) and loads so large that their mean is no double: one more than the mean counts.
  Matrix c = Matrix::Zero(1, 3);
  update_bias(c, {3, 2, 2}, 1);
  CHECK(different(c, matrix({{-1, 1, 1}})) == "");
  const Index huge = Index{1} << 57;
  Matrix e = Matrix::Zero(1, 3);
  update_bias(e, {huge + 1, huge, huge - 1}, 1);
  CHECK(different(e, matrix({{-1, 0, 1}})) == "");
}

TEST_CASE("balance: the step is gamma whatever the size of the violation, and the mean of b is left alone") {
  Matrix b = Matrix::Zero(1, 4);
  update_bias(b, {1000, 0, 0, 0}, 0.25);
  CHECK(different(b, matrix({{-0.25, 0.25, 0.25, 0.25}})) == "");
}

TEST_CASE("balance: loads count token and slot pairs; nothing routed is no violation") {
  IndexMatrix experts(2, 2);
  experts << 3, 0, 3, 1;
  CHECK(expert_load(experts, 5) == std::vector<Index>{1, 1, 0, 2, 0});
  CHECK(max_violation({0, 0}) == 0);
  CHECK(max_violation({5, 5, 5}) == 0);
  CHECK_THROWS_AS(expert_load(experts, 3), std::invalid_argument);
  Matrix b = Matrix::Zero(1, 4);
  CHECK_THROWS_WITH(update_bias(b, {1, 2}, 0.1), "update_bias: b is [1, 4]; it must be [1, 2]");
}

TEST_CASE("balance: updates drive a skewed gate to balance") {
  const GateConfig c = v3_gate();
  Matrix logits = probe(2000, 16, 1), b = Matrix::Zero(1, 16);
  for (Index i = 0; i < 16; ++i) logits.col(i).array() += static_cast<real>(0.1 * static_cast<double>(i));
  const auto violation = [&] { return max_violation(expert_load(route_logits(c, logits, b).experts, 16)); };
  const double before = violation();
  for (int step = 0; step < 300; ++step) update_bias(b, expert_load(route_logits(c, logits, b).experts, 16), 0.002);
  CHECK(before > 0.8);
  CHECK(violation() < 0.1);
}

TEST_CASE("balance: golden example of Eqs. (17)-(20)") {
  const Balance balance = balance_loss(plain(4, 2), routing_of(golden_s, 2), Sequences::uniform(1, 3), {.alpha = 1e-4});
  CHECK(outside(balance.f, matrix({{2, 2.0 / 3, 2.0 / 3, 2.0 / 3}}), 1e-7) == "");
  CHECK(balance.loss == doctest::Approx(1.1555556e-4).epsilon(1e-7));
}

TEST_CASE("balance: perfect balance costs alpha") {
  Matrix s = Matrix::Constant(4, 4, real(0.2));
  for (Index t = 0; t < 4; ++t) s(t, t) = s(t, (t + 1) % 4) = real(0.7);
  const Balance balance = balance_loss(plain(4, 2), routing_of(s, 2), Sequences::uniform(1, 4), {.alpha = 0.5});
  CHECK(different(balance.f, Matrix::Ones(1, 4)) == "");
  CHECK(balance.loss == doctest::Approx(0.5).epsilon(1e-7));
}

TEST_CASE("balance: sequence scope sums a loss per sequence, batch scope takes all tokens as one; weight multiplies") {
  const Matrix s = probe(11, 16, 1).array().abs().min(real(3)) / real(3.1);
  const GateConfig c = plain(16, 4);
  Sequences three;
  three.add(5, 0), three.add(0, 0), three.add(6, 100);
  const Matrix first_s = s.topRows(5), second_s = s.bottomRows(6);
  const double first = balance_loss(c, routing_of(first_s, 4), Sequences::uniform(1, 5), {.alpha = 0.1}).loss;
  const double second = balance_loss(c, routing_of(second_s, 4), Sequences::uniform(1, 6), {.alpha = 0.1}).loss;
  const double whole = balance_loss(c, routing_of(s, 4), Sequences::uniform(1, 11), {.alpha = 0.1}).loss;
  const Routing r = routing_of(s, 4);
  CHECK(balance_loss(c, r, three, {0.1, BalanceScope::sequence, 1}).loss == doctest::Approx(first + second));
  CHECK(balance_loss(c, r, three, {0.1, BalanceScope::batch, 1}).loss == doctest::Approx(whole));
  CHECK(balance_loss(c, r, three, {0.1, BalanceScope::sequence, 0.5}).loss == doctest::Approx((first + second) / 2));
  CHECK(std::abs(whole - (first + second) / 2) > 1e-4);
}

TEST_CASE("balance: f as printed counts the best unbiased scores; the routed variant counts where tokens go") {
  const GateConfig c = v3_gate();
  const Matrix logits = probe(40, 16, 1), b = probe(1, 16, 2);
  const Routing r = route_logits(c, logits, b);
  const Sequences one = Sequences::uniform(1, 40);
  const Matrix report = balance_loss(c, r, one, {.alpha = 1}).f;
  const Matrix routed = balance_loss(c, r, one, {.alpha = 1}, BalanceCount::routed).f;
  const auto load = expert_load(r.experts, 16);
  Matrix by_load(1, 16), by_sorting = Matrix::Zero(1, 16);
  for (Index i = 0; i < 16; ++i) by_load(0, i) = static_cast<real>(16 * static_cast<double>(load[i]) / (4 * 40));
  for (Index t = 0; t < 40; ++t)
    for (Index i = 0; i < 16; ++i)
      if ((r.s.row(t).array() > r.s(t, i)).count() < 4) by_sorting(0, i) += real(16) / (4 * 40);
  CHECK(outside(routed, by_load, 1e-6) == "");
  CHECK(outside(report, by_sorting, 1e-5) == "");  // 40 roundings of numbers up to 4
  CHECK(outside(report, routed, 0.1) != "");
}

TEST_CASE("balance: scores that are all 0 give no NaN; ties count the lowest index; no tokens, no loss") {
  Routing r = routing_of(Matrix::Constant(2, 4, real(0.5)), 2);
  CHECK(different(balance_loss(plain(4, 2), r, {}, {1, BalanceScope::batch, 1}).f, matrix({{2, 2, 0, 0}})) == "");
  r.s.setZero();
  const BalanceLoss terms{1, BalanceScope::batch, 1};
  const Balance zero = balance_loss(plain(4, 2), r, {}, terms);
  CHECK(zero.loss == 0);
  CHECK(std::isfinite(max_abs(balance_backward(r, {}, terms, zero.f))));
  const Routing none = route_logits(plain(4, 2), Matrix(0, 4), Matrix::Zero(1, 4));
  CHECK(balance_loss(plain(4, 2), none, {}, terms).loss == 0);
  CHECK_THROWS_WITH(balance_loss(plain(4, 2), r, Sequences::uniform(1, 3), {.alpha = 1}),
                    "balance_loss: the sequences have 3 tokens; the routing has 2");
}

TEST_CASE("balance: the gradient leaves the sum of a token's scores alone, so it is orthogonal to them") {
  const Routing r = routing_of(golden_s, 2);
  const BalanceLoss terms{.alpha = 1};
  const Sequences one = Sequences::uniform(1, 3);
  const Matrix ds = balance_backward(r, one, terms, balance_loss(plain(4, 2), r, one, terms).f);
  // Token 0: sum 2, sum_j f_j s'_j = 2 * .45 + 2/3 * .55 = 1.2666667; T = 3.
  CHECK(ds(0, 0) == doctest::Approx((2 - 1.2666667) / 2 / 3).epsilon(1e-6));
  CHECK(ds(0, 1) == doctest::Approx((2.0 / 3 - 1.2666667) / 2 / 3).epsilon(1e-6));
  const Matrix dots = (ds.array() * r.s.array()).rowwise().sum();
  CHECK(outside(dots, Matrix::Zero(3, 1), 1e-7) == "");  // roundings of numbers below 0.2
}
