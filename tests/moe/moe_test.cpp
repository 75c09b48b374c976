// SPDX-License-Identifier: MIT
#include "reference/moe/moe.hpp"

#include <omp.h>

#include <cmath>
#include <map>
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

struct Pass {
  Matrix h, du;
  double balance_loss;
  MoeWeights<Matrix> grads;
};

Pass run(const Moe& moe, const MoeWeights<Matrix>& w, const Matrix& u, const Matrix& dh, const Context& context) {
  auto [h, stored] = moe.forward(w, u, context);
  Pass pass{h, {}, stored.balance_loss, zeros(moe_shapes(moe.config))};
  auto [du, deferred] = moe.backward_input(w, std::move(stored), Matrix(u), Matrix(dh), context);
  moe.backward_weight(std::move(deferred), pass.grads, context);
  pass.du = du;
  return pass;
}

GateConfig published_gate(Index N_r, Index K_r) {
  GateConfig c;
  c.N_r = N_r, c.K_r = K_r, c.num_groups = 8, c.kept_groups = 4;
  return c;
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

TEST_CASE("moe: parameters per layer of V3, V2 and V2-Lite, to the unit") {
  struct Published {
    MoeConfig config;
    Index d_dense, gate, expert, shared, dense;
  };
  GateConfig v3 = published_gate(256, 8), v2 = published_gate(160, 6), lite = published_gate(64, 6);
  v2.has_bias = lite.has_bias = false;
  const Published all[] = {
      {{7168, 2048, 2048, v3}, 18432, 1'835'008, 44'040'192, 44'040'192, 396'361'728},
      {{5120, 2 * 1536, 1536, v2}, 12288, 819'200, 23'592'960, 47'185'920, 188'743'680},
      {{2048, 2 * 1408, 1408, lite}, 10944, 131'072, 8'650'752, 17'301'504, 67'239'936},
  };
  for (const Published& p : all) {
    const MoeWeights<Shape> shapes = moe_shapes(p.config);
    CHECK(size(shapes.e) == p.gate);
    CHECK(size(shapes.b) == (p.config.gate.has_bias ? p.config.gate.N_r : 0));
    CHECK(count(shapes.shared) == p.shared);
    CHECK(count(shapes.experts[0]) == p.expert);
    CHECK(count(shapes) == p.gate + size(shapes.b) + p.shared + p.config.gate.N_r * p.expert);
    CHECK(count(moe_shapes({p.config.d, p.d_dense, 0, {}})) == p.dense);
  }
}

TEST_CASE("moe: tensors have names and roles; weights of another number of experts are refused") {
  MoeConfig config = small_moe(v3_gate());
  auto w = random_weights(config, 1);
  const auto tensors = tensors_of(w, "layers.0.");
  CHECK(tensors[0].name == "layers.0.e");
  CHECK(tensors[1].name == "layers.0.b");
  CHECK(tensors[1].role == Role::bias);
  CHECK(tensors[2].name == "layers.0.shared.W_gate");
  CHECK(tensors.back().name == "layers.0.experts.15.W_down");
  w.experts.pop_back();
  CHECK_THROWS_WITH(Moe(config).forward(w, probe(2, 12, 1), {}),
                    "Moe: the weights have 15 experts; the configuration has 16");
  w = random_weights(config, 1);
  const auto source = [&](Index i) -> const SwigluWeights<Matrix>& { return w.experts[i]; };
  for (Matrix* m : {&w.shared.W_down, &w.experts[3].W_down}) {
    const Matrix kept = *m;
    m->conservativeResize(11, Eigen::NoChange);
    CHECK_THROWS_WITH(Moe(config).forward(w, probe(50, 12, 1), {}), doctest::Contains("W_down [11, "));
    CHECK_THROWS_WITH(Moe(config).infer(w, probe(50, 12, 1), source, {}), doctest::Contains("W_down [11, "));
    *m = kept;
  }
  CHECK_THROWS_AS(Moe(config).forward(w, probe(2, 11, 1), {}), std::invalid_argument);
  auto stored = Moe(config).forward(w, probe(2, 12, 1), {}).stored;
  CHECK_THROWS_WITH(Moe(config).backward_input(w, std::move(stored), probe(2, 12, 1), probe(3, 12, 1), {}),
                    "Moe: dh is [3, 12] but u is [2, 12]; they need the same shape");
  stored = Moe(config).forward(w, probe(2, 12, 1), {}).stored;
  CHECK_THROWS_WITH(Moe(config).backward_input(w, std::move(stored), probe(1, 12, 1), probe(1, 12, 1), {}),
                    "Moe: u is [1, 12] but the forward pass had 2 tokens");
  auto other = zeros(moe_shapes(config));
  w.experts.pop_back();
  CHECK_THROWS_AS(MoeWeights<Matrix>::visit(
                      "", [](Role, const std::string&, const Matrix&, const Matrix&) {}, other, w),
                  std::invalid_argument);
}

TEST_CASE("moe: impossible sizes are refused by name") {
  const auto refused = [](auto change, const char* message) {
    MoeConfig bad = small_moe(v3_gate());
    change(bad);
    CHECK_THROWS_WITH(Moe{bad}, message);
  };
  refused([](MoeConfig& c) { c.d = 0; }, "MoeConfig: d is 0; it must be at least 1");
  refused([](MoeConfig& c) { c.d_expert = 0; }, "MoeConfig: d_expert is 0; it must be at least 1");
  refused([](MoeConfig& c) { c.d_shared = -1; }, "MoeConfig: d_shared is -1; it must be at least 0");
  refused([](MoeConfig& c) { c.gate.N_r = 0, c.d_shared = 0; }, "MoeConfig: d_shared is 0; it must be at least 1");
  refused([](MoeConfig& c) { c.gate.N_r = -1; }, "MoeConfig: N_r is -1; it must be 0 (dense) or more");
  refused([](MoeConfig& c) { c.gate.num_groups = 5; }, "GateConfig: num_groups is 5; it must divide N_r 16");
}
