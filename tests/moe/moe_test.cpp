// SPDX-License-Identifier: MIT
#include "reference/moe/moe.hpp"

#include <omp.h>

#include <cmath>
#include <numeric>

#include "reference/linear/linear.hpp"
#include "tests/moe/fixture.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

using Vector = std::vector<double>;

Vector times(const Matrix& W, const Vector& x) {
  Vector y(W.rows(), 0);
  for (Index i = 0; i < W.rows(); ++i)
    for (Index j = 0; j < W.cols(); ++j) y[i] += double{W(i, j)} * x[j];
  return y;
}

Vector slow_ffn(const SwigluWeights<Matrix>& w, const Vector& u) {
  Vector a = times(w.W_gate, u);
  const Vector b = times(w.W_up, u);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = a[i] / (1 + std::exp(-a[i])) * b[i];
  return times(w.W_down, a);
}

/// Eqs. (12)-(16) in double, one token at a time: an expert is chosen if fewer than K_r experts beat it.
Vector slow_moe(const GateConfig& c, const MoeWeights<Matrix>& w, const Vector& u) {
  Vector s = times(w.e, u), h = slow_ffn(w.shared, u);
  double all = 0;
  for (const double x : s) all += std::exp(x);
  for (double& x : s) x = c.scoring == Scoring::sigmoid ? 1 / (1 + std::exp(-x)) : std::exp(x) / all;
  Vector biased = s;
  for (Index i = 0; i < c.N_r; ++i) biased[i] += c.has_bias ? double{w.b(0, i)} : 0;

  const Index size = c.N_r / c.num_groups;
  Vector group(c.num_groups, -INFINITY);
  for (Index i = 0; i < c.N_r; ++i)  // the best pair of different experts, or the best single one
    for (Index j = i / size * size; j < (i / size + 1) * size; ++j)
      if (c.group_score == GroupScore::maximum) group[i / size] = std::max(group[i / size], biased[i]);
      else if (i != j) group[i / size] = std::max(group[i / size], biased[i] + biased[j]);
  const auto rank = [](const Vector& v, Index i) {
    Index better = 0;
    for (std::size_t j = 0; j < v.size(); ++j) better += v[j] > v[i];
    return better;
  };
  for (Index i = 0; i < c.N_r; ++i)
    if (rank(group, i / size) >= c.kept_groups) biased[i] = -INFINITY;
  double sum = 0;
  for (Index i = 0; i < c.N_r; ++i)
    if (rank(biased, i) < c.K_r) sum += s[i];
  for (Index i = 0; i < c.N_r; ++i) {
    if (rank(biased, i) >= c.K_r) continue;
    const Vector y = slow_ffn(w.experts[i], u);
    for (std::size_t j = 0; j < h.size(); ++j) h[j] += c.routed_scaling_factor * s[i] / (c.normalise ? sum : 1) * y[j];
  }
  return h;
}

Matrix slow_moe(const GateConfig& c, const MoeWeights<Matrix>& w, const Matrix& u) {
  Matrix h(u.rows(), u.cols());
  for (Index t = 0; t < u.rows(); ++t) {
    const Vector row = slow_moe(c, w, Vector(u.row(t).begin(), u.row(t).end()));
    for (Index j = 0; j < u.cols(); ++j) h(t, j) = static_cast<real>(row[j]);
  }
  return h;
}

}  // namespace

TEST_CASE("moe: a loop over tokens in double agrees with Eqs. (12)-(16), V3 and V2 gates") {
  GateConfig unnormalised = v3_gate();
  unnormalised.normalise = false;
  for (const GateConfig& gate : {v3_gate(), v2_gate(), unnormalised}) {
    const Moe moe(small_moe(gate));
    const auto w = random_weights(moe.config, 1);
    const Matrix u = tokens_with_margin(moe.config, w, 100, 2);
    const Matrix twin = slow_moe(gate, w, u);
    // About 50 roundings of 2^-24 in sums whose terms are not much larger than the largest result.
    CHECK(outside(moe.forward(w, u, {}).y, twin, 3e-6 * max_abs(twin)) == "");
  }
}

TEST_CASE("moe: one expert by hand: h' is the shared FFN plus g times the expert, without the residual") {
  GateConfig gate;
  gate.N_r = 2, gate.K_r = 1, gate.routed_scaling_factor = 2.5;
  const Moe moe({1, 1, 1, gate});
  const auto ffn = [](double down) { return SwigluWeights<Matrix>{matrix({{1}}), matrix({{1}}), matrix({{down}})}; };
  const MoeWeights<Matrix> w{matrix({{1}, {-1}}), Matrix::Zero(1, 2), ffn(1), {ffn(10), ffn(100)}};
  const Matrix h = moe.forward(w, matrix({{1}, {-1}}), {}).y;
  const double plus = 1 / (1 + std::exp(-1.0)), minus = 1 / (1 + std::exp(1.0));  // silu(1), and silu(-1) * -1
  CHECK(outside(h, matrix({{plus * (1 + 2.5 * 10)}, {minus * (1 + 2.5 * 100)}}), 2e-5) == "");
}

TEST_CASE("moe: N_r = 0 is the shared FFN alone, bit for bit, with its gradients") {
  MoeConfig config = small_moe({});
  const Moe moe(config);
  const auto w = random_weights(config, 1);
  CHECK(tensors_of(const_cast<MoeWeights<Matrix>&>(w)).size() == 3);
  const Matrix u = probe(20, 12, 2), dh = probe(20, 12, 3);
  const Pass pass = run(moe, w, u, dh, {});
  auto [h, stored] = SwigluFfn{}.forward(w.shared, u, {});
  auto [du, deferred] = SwigluFfn{}.backward_input(w.shared, std::move(stored), Matrix(u), Matrix(dh), {});
  auto grads = zeros(swiglu_shapes(12, 10));
  SwigluFfn{}.backward_weight(std::move(deferred), grads, {});
  CHECK(different(pass.h, h) == "");
  CHECK(different(pass.du, du) == "");
  CHECK(different(pass.grads.shared.W_up, grads.W_up) == "");
  CHECK(different(moe.infer(w, u, {}, {}), h) == "");
}

TEST_CASE("moe: no shared experts leave the routed sum; one expert for all tokens drops none") {
  MoeConfig config = small_moe(v3_gate());
  config.d_shared = 0;
  const Moe moe(config);
  auto w = random_weights(config, 1);
  w.b.setZero();
  w.b(0, 5) = 100, w.b(0, 6) = 90, w.b(0, 7) = 80, w.b(0, 4) = 70;  // everything goes to the four experts of group 1
  const Matrix u = probe(300, 12, 2);
  const auto [h, stored] = moe.forward(w, u, {});
  CHECK(expert_load(stored.routing.experts, 16) ==
        std::vector<Index>{0, 0, 0, 0, 300, 300, 300, 300, 0, 0, 0, 0, 0, 0, 0, 0});
  CHECK(outside(h, slow_moe(config.gate, w, u), 1e-4) == "");  // 1e-6 of the largest terms
  const Pass pass = run(moe, w, u, probe(300, 12, 3), {});
  CHECK(max_abs(pass.grads.experts[5].W_down) > 0.1);
  CHECK(max_abs(pass.grads.experts[8].W_down) == 0);
}

TEST_CASE("moe: the bias gets no gradient") {
  const Moe moe(small_moe(v3_gate()));
  const auto w = random_weights(moe.config, 1);
  const Pass pass = run(moe, w, probe(50, 12, 2), probe(50, 12, 3), {});
  CHECK(different(pass.grads.b, Matrix::Zero(1, 16)) == "");
  CHECK(max_abs(pass.grads.e) > 0.1);
}

TEST_CASE("moe: no tokens, no work") {
  const Moe moe(small_moe(v3_gate()));
  const auto w = random_weights(moe.config, 1);
  Context context;
  context.balance.alpha = 1;
  const Pass pass = run(moe, w, Matrix(0, 12), Matrix(0, 12), context);
  CHECK(pass.h.rows() == 0);
  CHECK(pass.du.cols() == 12);
  CHECK(max_abs(pass.grads.e) == 0);
}

TEST_CASE("moe: infer asks for each routed expert once, in ascending order, and gives the bits of forward") {
  const Moe moe(small_moe(v3_gate()));
  const auto w = random_weights(moe.config, 1);
  auto resident = w;
  resident.experts.clear();
  const Matrix u = probe(3, 12, 2);
  std::vector<Index> asked, routed;
  const auto [h, stored] = moe.forward(w, u, {});
  for (Index i = 0; i < 16; ++i)
    if (stored.dispatch.rows(i) > 0) routed.push_back(i);
  REQUIRE(routed.size() < 12);
  const Matrix streamed = moe.infer(resident, u,
                                    [&](Index i) -> const SwigluWeights<Matrix>& {
                                      asked.push_back(i);
                                      return w.experts[i];
                                    },
                                    {});
  CHECK(asked == routed);
  CHECK(different(streamed, h) == "");
}

TEST_CASE("moe: the same bits for 1, 2 and 5 threads, forward, gradients and loss") {
  const Moe moe(small_moe(v3_gate()));
  const auto w = random_weights(moe.config, 1);
  const Matrix u = probe(300, 12, 2), dh = probe(300, 12, 3);
  Context context;
  context.sequences = Sequences::uniform(6, 50);
  context.balance.alpha = 0.1;
  std::vector<Pass> passes;
  for (int threads : {1, 2, 5}) {
    omp_set_num_threads(threads);
    passes.push_back(run(moe, w, u, dh, context));
  }
  omp_set_num_threads(2);
  const auto first = tensors_of(passes[0].grads);
  REQUIRE(first.size() == 2 + 3 + 48);
  for (int other : {1, 2}) {
    CHECK(different(passes[0].h, passes[other].h) == "");
    CHECK(different(passes[0].du, passes[other].du) == "");
    CHECK(passes[0].balance_loss == passes[other].balance_loss);
    const auto second = tensors_of(passes[other].grads);
    for (std::size_t i = 0; i < first.size(); ++i) CHECK(different(*first[i].value, *second[i].value) == "");
  }
}

TEST_CASE("moe: the balance loss of the context is stored, and absent without alpha") {
  const Moe moe(small_moe(v3_gate()));
  const auto w = random_weights(moe.config, 1);
  const Matrix u = probe(20, 12, 2);
  Context context;
  context.sequences = Sequences::uniform(2, 10);
  CHECK(moe.forward(w, u, context).stored.balance_loss == 0);
  context.balance = {0.1, BalanceScope::sequence, 0.5};
  const auto stored = moe.forward(w, u, context).stored;
  CHECK(stored.balance_loss > 0.1);  // about alpha, more where it is unbalanced
  CHECK(stored.balance_loss == balance_loss(moe.config.gate, stored.routing, context.sequences, context.balance).loss);
  context.sequences = Sequences::uniform(2, 9);
  CHECK_THROWS_AS(moe.forward(w, u, context), std::invalid_argument);
}
