// SPDX-License-Identifier: MIT
#include "reference/moe/gate.hpp"

#include <omp.h>

#include <cmath>
#include <limits>

#include "reference/linear/linear.hpp"
#include "tests/moe/fixture.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

const Matrix golden_logits = matrix({{2.0, -1.0, 1.2, 1.0, 0.3, 0.9, 1.5, -2.0}});

std::vector<Index> row(const IndexMatrix& m, Index t) { return {m.row(t).begin(), m.row(t).end()}; }
using Indices = std::vector<Index>;

}  // namespace

TEST_CASE("gate: golden example without bias: the best single expert loses because its group loses") {
  const Routing r = route_logits(golden_gate(), golden_logits, Matrix::Zero(1, 8));
  CHECK(outside(r.s,
                matrix({{0.880797078, 0.268941421, 0.768524783, 0.731058579, 0.574442517, 0.710949503, 0.817574476,
                         0.119202922}}),
                2e-7) == "");  // two roundings near 1
  CHECK(row(r.groups, 0) == Indices{1, 2});
  CHECK(row(r.experts, 0) == Indices{2, 3});
  CHECK(outside(r.g, matrix({{1.281230512, 1.218769488}}), 5e-7) == "");  // four roundings near 1
  // Groups: 1.285392019 - 1.149738499; experts: 0.731058579 - 0.710949503, the smaller one.
  CHECK(r.margin(0, 0) == doctest::Approx(0.020109076).epsilon(1e-5));
}

TEST_CASE("gate: golden example with bias: it changes who is chosen but not the weight, Eq. (16)") {
  const Matrix b = matrix({{-0.30, 0, 0.05, 0, 0.02, 0.10, 0, 0}});
  const Routing r = route_logits(golden_gate(), golden_logits, b);
  CHECK(row(r.groups, 0) == Indices{1, 2});
  CHECK(row(r.experts, 0) == Indices{2, 5});
  CHECK(outside(r.g, matrix({{1.29864505, 1.20135495}}), 5e-7) == "");
  CHECK(outside(r.g, matrix({{1.255811139, 1.244188861}}), 1e-2) != "");  // the bias leaks into the weights
  GateConfig maximum = golden_gate();
  maximum.group_score = GroupScore::maximum;
  const Routing wrong = route_logits(maximum, golden_logits, b);
  CHECK(row(wrong.groups, 0) == Indices{1, 3});  // what V2's group score would keep
  CHECK(row(wrong.experts, 0) == Indices{2, 6});
}

TEST_CASE("gate: the group score sums the two best BIASED scores") {
  // Without bias groups 0 and 1 lead; a bias of +1 on one expert of group 3 brings that group in.
  const Matrix logits = matrix({{3, 3, 2, 2, 1, 1, 0, 0}}), b = matrix({{0, 0, 0, 0, 0, 0, 0, 1}});
  CHECK(row(route_logits(golden_gate(), logits, Matrix::Zero(1, 8)).groups, 0) == Indices{0, 1});
  CHECK(row(route_logits(golden_gate(), logits, b).groups, 0) == Indices{0, 3});
}

TEST_CASE("gate: dropped groups count as -infinity: with negative biased scores a 0 would win") {
  const GateConfig c = v3_gate();
  const Matrix logits = 2 * probe(200, 16, 1), b = Matrix::Constant(1, 16, -2);
  const Routing r = route_logits(c, logits, b);
  for (Index t = 0; t < 200; ++t)
    for (const Index i : row(r.experts, t)) {
      const Indices kept = row(r.groups, t);
      REQUIRE(std::find(kept.begin(), kept.end(), i / 4) != kept.end());
    }
}

TEST_CASE("gate: the lowest index wins every tie, of groups and of experts") {
  const GateConfig c = v3_gate();
  const Routing all = route_logits(c, Matrix::Zero(1, 16), Matrix::Zero(1, 16));
  CHECK(row(all.groups, 0) == Indices{0, 1});
  CHECK(row(all.experts, 0) == Indices{0, 1, 2, 3});
  CHECK(all.margin(0, 0) == 0);

  // Groups 1, 2 and 3 tie for the second place behind 3's neighbour 0: 1 wins. Experts 4, 6, 7 tie for the last slot.
  const Matrix logits = matrix({{5, 5, 5, -9, 1, 2, 1, 1, 1, 2, 1, 1, 1, 2, 1, 1}});
  const Routing r = route_logits(c, logits, Matrix::Zero(1, 16));
  CHECK(row(r.groups, 0) == Indices{0, 1});
  CHECK(row(r.experts, 0) == Indices{0, 1, 2, 5});
  CHECK(r.margin(0, 0) == 0);  // the tie of groups

  // Descending group order must not leak into the order of experts: group 3 leads, experts of 1 and 3 tie.
  const Matrix late = matrix({{-9, -9, -9, -9, 1, 1, 1, 0, -9, -9, -9, -9, 1, 3, 1, 0}});
  CHECK(row(route_logits(c, late, Matrix::Zero(1, 16)).experts, 0) == Indices{13, 4, 5, 6});
}

TEST_CASE("gate: logits that are equal give scores that are equal, whatever the number of experts") {
  for (Index N_r = 2; N_r < 40; ++N_r) {
    GateConfig c;
    c.N_r = N_r, c.K_r = 2, c.has_bias = false;
    for (const Scoring scoring : {Scoring::sigmoid, Scoring::softmax}) {
      c.scoring = scoring;
      const Routing r = route_logits(c, Matrix::Constant(3, N_r, real(0.7131)), {});
      for (Index t = 0; t < 3; ++t) REQUIRE(row(r.experts, t) == Indices{0, 1});
      REQUIRE(max_abs(r.margin) == (N_r == 2 ? std::numeric_limits<double>::infinity() : 0));
    }
  }
}

TEST_CASE("gate: V2 takes softmax scores, does not normalise and scales") {
  const Routing r = route_logits(v2_gate(), probe(50, 16, 3), {});
  CHECK(outside(r.s.rowwise().sum(), Matrix::Ones(50, 1), 1e-6) == "");
  Matrix sum = r.g.rowwise().sum();
  CHECK(sum.maxCoeff() < 16);
  for (Index t = 0; t < 50; ++t) CHECK(r.g(t, 0) == r.s(t, r.experts(t, 0)) * 16);
}

TEST_CASE("gate: softmax of logits far beyond the range of exp") {
  const Matrix logits =
      Matrix::Constant(1, 16, -1000).array() + matrix({{1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 2000}}).array();
  const Routing r = route_logits(v2_gate(), logits, {});
  CHECK(r.s(0, 15) == 1);
  CHECK(r.s.maxCoeff<Eigen::PropagateNaN>() == 1);
}

TEST_CASE("gate: normalised weights sum to the scaling factor, not to 1 and not over all experts") {
  const Routing r = route_logits(v3_gate(), probe(50, 16, 3), Matrix::Zero(1, 16));
  CHECK(outside(r.g.rowwise().sum(), Matrix::Constant(50, 1, 2.5), 1e-6) == "");
}

TEST_CASE("gate: scores that underflow give small weights, not NaN; 1e-20 stands under the line") {
  const Routing r = route_logits(v3_gate(), Matrix::Constant(1, 16, -46), Matrix::Zero(1, 16));
  const double s = std::exp(-46.0), g = s / (4 * s + 1e-20) * 2.5;  // 4 s is about 4 times 1e-20
  CHECK(outside(r.g, Matrix::Constant(1, 4, static_cast<real>(g)), 1e-5) == "");
  CHECK(outside(r.g, Matrix::Constant(1, 4, real(0.625)), 1e-3) != "");
  const Routing far = route_logits(v3_gate(), Matrix::Constant(1, 16, real(-1e30)), Matrix::Zero(1, 16));
  CHECK(outside(far.g, Matrix::Zero(1, 4), 1e-15) == "");
}

TEST_CASE("gate: biased scores that are off by less than a quarter of the margin lead to the same set of experts") {
  const GateConfig c = v3_gate();
  const Matrix logits = probe(400, 16, 5), b = real(0.3) * probe(1, 16, 6);
  const Routing r = route_logits(c, logits, b);
  const auto chosen = [&](Index t, const Matrix& biases) {
    Indices experts = row(route_logits(c, logits.row(t), biases).experts, 0);
    std::sort(experts.begin(), experts.end());
    return experts;
  };
  Index changed = 0;
  for (Index t = 0; t < 400; ++t)
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      const Matrix signs = probe(1, 16, 100 + seed).array().sign().matrix();
      const auto moved = [&](double share) -> Matrix { return b + static_cast<real>(share) * r.margin(t, 0) * signs; };
      REQUIRE(chosen(t, moved(0.24)) == chosen(t, b));  // not 0.25: the biased score is rounded
      changed += chosen(t, moved(0.9)) != chosen(t, b);
    }
  CHECK(changed > 100);  // and the margin is not merely a small number
}

TEST_CASE("gate: route multiplies by the centroids in real") {
  const Matrix e = probe(16, 9, 1), b = real(0.1) * probe(1, 16, 2), u = probe(20, 9, 3);
  const Routing r = route(v3_gate(), e, b, u), by_logits = route_logits(v3_gate(), fprop(e, u), b);
  CHECK(different(r.g, by_logits.g) == "");
  CHECK(r.experts == by_logits.experts);
}

TEST_CASE("gate: a recorded choice replayed gives the same weights, in the order of the record") {
  const GateConfig c = v3_gate();
  const Matrix logits = probe(50, 16, 1);
  const Routing r = route_logits(c, logits, probe(1, 16, 2));
  const Routing again = replay(c, logits, r.experts), turned = replay(c, logits, r.experts.rowwise().reverse());
  CHECK(again.s == r.s);
  CHECK(again.g == r.g);
  CHECK(turned.g.rowwise().reverse().isApprox(r.g, 1e-6f));  // its sum runs the other way
  IndexMatrix twice = r.experts, none = r.experts;
  twice(7, 1) = twice(7, 0), none(3, 2) = 16;
  CHECK_THROWS_WITH_AS(replay(c, logits, twice), doctest::Contains("token 7 has expert"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(replay(c, logits, none), doctest::Contains("token 3 has expert 16"), std::invalid_argument);
  CHECK_THROWS_AS(replay(c, logits.topRows(4), r.experts), std::invalid_argument);
}

TEST_CASE("gate: the same bits for 1, 2 and 5 threads") {
  const Matrix logits = probe(333, 16, 1), b = probe(1, 16, 2), dg = probe(333, 4, 3);
  std::vector<Routing> r;
  std::vector<Matrix> dlogits;
  for (int threads : {1, 2, 5}) {
    omp_set_num_threads(threads);
    r.push_back(route_logits(v3_gate(), logits, b));
    dlogits.push_back(gate_backward(v3_gate(), r.back(), dg));
  }
  omp_set_num_threads(2);
  for (int other : {1, 2}) {
    CHECK(different(r[0].g, r[other].g) == "");
    CHECK(r[0].experts == r[other].experts);
    CHECK(different(dlogits[0], dlogits[other]) == "");
  }
}

TEST_CASE("gate: values that are not finite, wrong shapes and impossible configurations are refused by name") {
  const GateConfig c = v3_gate();
  const Matrix b = Matrix::Zero(1, 16);
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  for (const double bad : {nan, inf, -inf}) {
    Matrix logits = Matrix::Zero(70, 16);
    logits(67, 15) = static_cast<real>(bad);
    CHECK_THROWS_WITH(route_logits(c, logits, b), doctest::Contains("the logit of token 67 for expert 15 is"));
    Matrix bad_b = b;
    bad_b(0, 3) = static_cast<real>(bad);
    CHECK_THROWS_WITH(route_logits(c, Matrix::Zero(1, 16), bad_b), doctest::Contains("b of expert 3 is"));
  }
  CHECK_THROWS_WITH(route_logits(c, Matrix::Zero(2, 15), b), "route: logits are [2, 15]; they need 16 columns");
  CHECK_THROWS_WITH(route_logits(c, Matrix::Zero(2, 16), {}), "route: b is [0, 0]; it must be [1, 16]");
  CHECK_THROWS_WITH(route_logits(v2_gate(), Matrix::Zero(2, 16), b), "route: b is [1, 16]; it must be [0, 0]");
  const Routing r = route_logits(c, Matrix::Zero(2, 16), b);
  CHECK_THROWS_AS(gate_backward(c, r, Matrix::Zero(2, 3)), std::invalid_argument);
  CHECK_THROWS_AS(gate_backward(c, r, Matrix::Zero(2, 4), Matrix::Zero(1, 16)), std::invalid_argument);

  const auto refused = [&](auto change, const char* message) {
    GateConfig bad = v3_gate();
    change(bad);
    CHECK_THROWS_WITH(validate(bad), message);
  };
  refused([](GateConfig& g) { g.N_r = 0; }, "GateConfig: N_r is 0; it must be at least 1");
  refused([](GateConfig& g) { g.num_groups = 3; }, "GateConfig: num_groups is 3; it must divide N_r 16");
  refused([](GateConfig& g) { g.num_groups = 0; }, "GateConfig: num_groups is 0; it must divide N_r 16");
  refused([](GateConfig& g) { g.kept_groups = 5; }, "GateConfig: kept_groups is 5; it must be 1 to 4");
  refused([](GateConfig& g) { g.K_r = 9; }, "GateConfig: K_r is 9; it must be 1 to 8, the experts of the kept groups");
  refused([](GateConfig& g) { g.K_r = 0; }, "GateConfig: K_r is 0; it must be 1 to 8, the experts of the kept groups");
  for (const Index kept : {8, 16})
    refused(
        [&](GateConfig& g) { g.num_groups = 16, g.kept_groups = kept; },
        "GateConfig: num_groups is 16 for N_r 16; groups of one expert have no two best scores, they need at least 2");
  refused([](GateConfig& g) { g.routed_scaling_factor = NAN; },
          "GateConfig: routed_scaling_factor is nan; it must be finite");
}
