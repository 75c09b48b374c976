// SPDX-License-Identifier: MIT
#include "reference/moe/gate.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tests/moe/fixture.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

std::vector<Index> row(const IndexMatrix& m, Index t) { return {m.row(t).begin(), m.row(t).end()}; }
using Indices = std::vector<Index>;

/// Positions of `values` from largest to smallest, equal ones by position.
Indices sorted(const std::vector<double>& values) {
  Indices order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](Index i, Index j) { return values[i] > values[j]; });
  return order;
}

struct Choice {
  Indices experts, groups;
  double margin;
};

/// The slow twin: sorts everything, masks with -infinity. Scores come from the gate itself, so that ties are the same.
Choice slow_choice(const GateConfig& c, const Matrix& s, const Matrix& b, Index t) {
  constexpr double none = -std::numeric_limits<double>::infinity();
  std::vector<double> biased(c.N_r), group(c.num_groups), masked(c.N_r, none);
  for (Index i = 0; i < c.N_r; ++i) biased[i] = static_cast<real>(c.has_bias ? s(t, i) + b(0, i) : s(t, i));
  const Index size = c.N_r / c.num_groups;
  for (Index k = 0; k < c.num_groups; ++k) {
    std::vector<double> members(biased.begin() + k * size, biased.begin() + (k + 1) * size);
    std::sort(members.rbegin(), members.rend());
    group[k] = c.group_score == GroupScore::maximum ? members[0] : static_cast<real>(members[0] + members[1]);
  }
  const Indices groups = sorted(group);
  Choice choice{{}, Indices(groups.begin(), groups.begin() + c.kept_groups), std::numeric_limits<double>::infinity()};
  if (c.kept_groups < c.num_groups) choice.margin = group[groups[c.kept_groups - 1]] - group[groups[c.kept_groups]];
  for (const Index k : choice.groups)
    for (Index i = k * size; i < (k + 1) * size; ++i) masked[i] = biased[i];
  const Indices experts = sorted(masked);
  choice.experts.assign(experts.begin(), experts.begin() + c.K_r);
  if (c.K_r < c.N_r) choice.margin = std::min(choice.margin, masked[experts[c.K_r - 1]] - masked[experts[c.K_r]]);
  std::sort(choice.groups.begin(), choice.groups.end());
  return choice;
}

void check_against_twin(const GateConfig& c, const Matrix& logits, const Matrix& b) {
  const Routing r = route_logits(c, logits, b);
  for (Index t = 0; t < logits.rows(); ++t) {
    const Choice twin = slow_choice(c, r.s, b, t);
    CAPTURE(t);
    REQUIRE(row(r.experts, t) == twin.experts);
    REQUIRE(row(r.groups, t) == twin.groups);
    // One rounding of the difference of numbers as large as the scores; equal infinities pass too.
    REQUIRE((r.margin(t, 0) == twin.margin || std::abs(r.margin(t, 0) - twin.margin) <= 1e-7 * std::abs(twin.margin)));
    double sum = 1e-20;
    for (const Index i : twin.experts) sum += r.s(t, i);
    for (Index k = 0; k < c.K_r; ++k) {
      const double g = r.s(t, twin.experts[k]) / (c.normalise ? sum : 1) * c.routed_scaling_factor;
      REQUIRE(std::abs(r.g(t, k) - g) <= 1e-6 * g + 1e-44);  // K_r + 3 roundings of 2^-24; subnormals
    }
  }
}

}  // namespace

TEST_CASE("gate: the twin that sorts everything agrees on random rows, exact ties and large biases") {
  std::vector<GateConfig> configs{v3_gate(), v2_gate(), golden_gate()};
  configs.push_back(v3_gate());
  configs.back().normalise = false, configs.back().routed_scaling_factor = 1;
  configs.push_back(v3_gate());
  configs.back().num_groups = 1, configs.back().kept_groups = 1;
  configs.push_back(v2_gate());
  configs.back().normalise = true;
  configs.push_back(v3_gate());
  configs.back().K_r = 8;  // every expert of the kept groups
  GateConfig v3;
  v3.N_r = 256, v3.K_r = 8, v3.num_groups = 8, v3.kept_groups = 4, v3.routed_scaling_factor = 2.5;
  configs.push_back(v3);
  for (const GateConfig& c : configs) {
    const Matrix logits = 2 * probe(1000, c.N_r, 11), b = probe(1, c.N_r, 12), none;
    const Matrix coarse = (logits.array().round()).matrix(), coarse_b = b.array().round().matrix();
    check_against_twin(c, logits, c.has_bias ? Matrix(real(0.1) * b) : none);
    check_against_twin(c, coarse, c.has_bias ? Matrix::Zero(1, c.N_r) : none);  // scores tie
    if (!c.has_bias) continue;
    check_against_twin(c, coarse, coarse_b);                                 // biased scores tie
    check_against_twin(c, logits, b.array() - 3);                            // all negative
    check_against_twin(c, logits, (real(1e9) * coarse_b.array()).matrix());  // the bias swallows the score: ties
    check_against_twin(c, 40 * logits, real(-0.5) * coarse_b);               // scores of 0 and 1
  }
}

TEST_CASE("gate: exhaustively, all 4^6 rows of six experts with logits from {-1, 0, 1, 2}") {
  GateConfig c;
  c.N_r = 6, c.K_r = 3, c.num_groups = 3, c.kept_groups = 2;
  Matrix logits(4096, 6);
  for (Index t = 0; t < 4096; ++t)
    for (Index i = 0; i < 6; ++i) logits(t, i) = static_cast<real>((t >> (2 * i)) % 4 - 1);
  check_against_twin(c, logits, Matrix::Zero(1, 6));
  check_against_twin(c, logits, matrix({{-2, -1, -1, -1, -2, -1}}));
}
