// SPDX-License-Identifier: MIT
#include "reference/moe/balance.hpp"

#include <algorithm>
#include <numeric>

#include "reference/core/require.hpp"
#include "reference/core/threads.hpp"
#include "reference/moe/top_k.hpp"

namespace dsv3 {
namespace {

constexpr double denominator_guard = 1e-20;

/// The stretches of tokens that Eqs. (17)-(20) are about.
Sequences stretches(const Sequences& sequences, BalanceScope scope, Index T) {
  if (scope == BalanceScope::batch) return Sequences::uniform(1, T);
  require(sequences.rows() == T, "balance_loss", "the sequences have ", sequences.rows(), " tokens; the routing has ",
          T);
  return sequences;
}

double sum_of_scores(const Matrix& s, Index t) {
  double sum = 0;
  for (Index i = 0; i < s.cols(); ++i) sum += double{s(t, i)};
  return sum + denominator_guard;
}

/// counts_i += 1 for the experts that Eq. (18) counts for token t; `best` is space of size K_r.
void count(const Routing& routing, BalanceCount counted, Index t, TopK& best, std::vector<Index>& counts) {
  const Index K_r = routing.experts.cols();
  if (counted == BalanceCount::routed) {
    for (Index k = 0; k < K_r; ++k) ++counts[routing.experts(t, k)];
    return;
  }
  best.clear();
  for (Index i = 0; i < routing.s.cols(); ++i) best.offer(routing.s(t, i), i);
  for (Index k = 0; k < K_r; ++k) ++counts[best[k]];
}

}  // namespace

std::vector<Index> expert_load(const IndexMatrix& experts, Index N_r) {
  std::vector<Index> load(N_r, 0);
  for (Index i = 0; i < experts.size(); ++i) {
    const Index expert = experts.data()[i];
    require(expert >= 0 && expert < N_r, "expert_load", "there is no expert ", expert, " among ", N_r);
    ++load[expert];
  }
  return load;
}

double max_violation(const std::vector<Index>& load) {
  const Index total = std::accumulate(load.begin(), load.end(), Index{0});
  if (total == 0) return 0;
  const double mean = static_cast<double>(total) / static_cast<double>(load.size());
  return static_cast<double>(*std::max_element(load.begin(), load.end())) / mean - 1;
}

void update_bias(Matrix& b, const std::vector<Index>& load, double gamma) {
  const auto N_r = static_cast<Index>(load.size());
  require(b.rows() == 1 && b.cols() == N_r, "update_bias", "b is ", shape_text(b), "; it must be [1, ", N_r, "]");
  const Index total = std::accumulate(load.begin(), load.end(), Index{0});
  for (Index i = 0; i < N_r; ++i) {
    const Index below = total - load[i] * N_r;                                 // N_r times (mean - load)
    if (below != 0) b(0, i) += static_cast<real>(below > 0 ? gamma : -gamma);  // b_i of Eq. (16)
  }
}

Balance balance_loss(const GateConfig& config, const Routing& routing, const Sequences& sequences,
                     const BalanceLoss& terms, BalanceCount counted) {
  const Index N_r = config.N_r;
  const Sequences parts = stretches(sequences, terms.scope, routing.s.rows());
  Balance balance{0, Matrix::Zero(parts.count(), N_r)};
  std::vector<double> loss(parts.count(), 0);
  parallel_for(parts.count(), [&](Index part) {
    const Index T = parts.length(part);
    if (T == 0) return;
    TopK best(config.K_r);
    std::vector<Index> counts(N_r, 0);
    std::vector<double> P(N_r, 0);
    for (Index t = parts.begin[part]; t < parts.begin[part + 1]; ++t) {
      count(routing, counted, t, best, counts);
      const double sum = sum_of_scores(routing.s, t);
      for (Index i = 0; i < N_r; ++i) P[i] += double{routing.s(t, i)} / sum;  // Eqs. (19), (20), T P_i
    }
    for (Index i = 0; i < N_r; ++i) {
      const double f = static_cast<double>(N_r * counts[i]) / static_cast<double>(config.K_r * T);  // Eq. (18)
      balance.f(part, i) = static_cast<real>(f);
      loss[part] += f * P[i] / static_cast<double>(T);  // Eq. (17)
    }
  });
  for (const double l : loss) balance.loss += terms.weight * terms.alpha * l;
  return balance;
}

Matrix balance_backward(const Routing& routing, const Sequences& sequences, const BalanceLoss& terms, const Matrix& f) {
  const Matrix& s = routing.s;
  const Sequences parts = stretches(sequences, terms.scope, s.rows());
  require(f.rows() == parts.count() && f.cols() == s.cols(), "balance_backward", "f is ", shape_text(f),
          "; it must be [", parts.count(), ", ", s.cols(), "]");
  Matrix ds(s.rows(), s.cols());
  parallel_for(parts.count(), [&](Index part) {
    const double scale = terms.weight * terms.alpha / static_cast<double>(std::max<Index>(parts.length(part), 1));
    for (Index t = parts.begin[part]; t < parts.begin[part + 1]; ++t) {
      const double sum = sum_of_scores(s, t);
      double mean = 0;  // sum_j f_j s'_j
      for (Index j = 0; j < s.cols(); ++j) mean += double{f(part, j)} * double{s(t, j)} / sum;
      for (Index i = 0; i < s.cols(); ++i)
        ds(t, i) = static_cast<real>(scale * (double{f(part, i)} - mean) / sum);  // Eq. (19)
    }
  });
  return ds;
}

}  // namespace dsv3
