// SPDX-License-Identifier: MIT
#include "reference/moe/gate.hpp"

#include <algorithm>
#include <cmath>

#include "reference/core/require.hpp"
#include "reference/core/threads.hpp"
#include "reference/linear/linear.hpp"
#include "reference/moe/sigmoid.hpp"
#include "reference/moe/top_k.hpp"

namespace dsv3 {
namespace {

constexpr real denominator_guard = real(1e-20);
constexpr double largest_bias = 1e30;  // so that no sum of two overflows
constexpr real infinity = std::numeric_limits<real>::infinity();
using Row = Eigen::Map<Eigen::Array<real, 1, Eigen::Dynamic>>;
using ConstRow = Eigen::Map<const Eigen::Array<real, 1, Eigen::Dynamic>>;

void require_finite(const Matrix& logits) {
  for (Index t = 0; t < logits.rows(); ++t) {
    const ConstRow row(logits.row(t).data(), logits.cols());
    if ((row - row).sum() == 0) continue;  // infinity - infinity and NaN are NaN
    for (Index i = 0; i < logits.cols(); ++i)
      if (!std::isfinite(row[i]))
        throw NotFinite(
            concat("route: the logit of token ", t, " for expert ", i, " is ", row[i], "; it must be finite"));
  }
}

void require_logits(const GateConfig& config, const Matrix& logits) {
  require(logits.cols() == config.N_r, "route", "logits are ", shape_text(logits), "; they need ", config.N_r,
          " columns");
  require_finite(logits);
}

void require_choice(const GateConfig& config, const IndexMatrix& experts, Index T) {
  require(experts.rows() == T && experts.cols() == config.K_r, "replay", "experts are [", experts.rows(), ", ",
          experts.cols(), "]; they must be [", T, ", ", config.K_r, "]");
  std::vector<bool> seen;
  for (Index t = 0; t < T; ++t) {
    seen.assign(static_cast<std::size_t>(config.N_r), false);
    for (Index k = 0; k < config.K_r; ++k) {
      const Index i = experts(t, k);
      require(i >= 0 && i < config.N_r && !seen[static_cast<std::size_t>(i)], "replay", "token ", t, " has expert ", i,
              "; it must be one of 0 to ", config.N_r - 1, ", and come once");
      seen[static_cast<std::size_t>(i)] = true;
    }
  }
}

void require_bias(const GateConfig& config, const Matrix& b) {
  const Shape needed = config.has_bias ? Shape{1, config.N_r} : Shape{};
  require(shape_of(b) == needed, "route", "b is ", shape_text(b), "; it must be ", text(needed));
  for (Index i = 0; i < b.size(); ++i)
    require(std::abs(b(0, i)) <= largest_bias, "route", "b of expert ", i, " is ", b(0, i), "; it must be at most ",
            largest_bias, " in size");
}

/// Eq. (15): s of one token.
void score(Scoring scoring, const real* logits, Row s) {
  if (scoring == Scoring::sigmoid) return sigmoid(logits, s.data(), s.size());
  const ConstRow x(logits, s.size());
  s = x - x.maxCoeff();
  exponential(s.data(), s.data(), s.size());
  real sum = 0;
  for (const real e : s) sum += e;
  s /= sum;
}

real group_score(GroupScore rule, const real* biased, Index size) {
  real best = -infinity, second = -infinity;
  for (Index i = 0; i < size; ++i) {
    second = std::max(second, std::min(best, biased[i]));
    best = std::max(best, biased[i]);
  }
  return rule == GroupScore::maximum ? best : best + second;
}

/// Chooses for one token after the other; holds the space it needs for that.
class Choice {
 public:
  explicit Choice(const GateConfig& config)
      : config_(config), biased_(config.N_r), groups_(config.kept_groups), experts_(config.K_r) {}

  void choose(const Matrix& b, Index t, Routing& routing) {
    std::copy_n(routing.s.row(t).data(), config_.N_r, biased_.data());
    if (config_.has_bias)
      for (Index i = 0; i < config_.N_r; ++i) biased_[i] += b(0, i);  // Eq. (16)
    const real group_margin = keep_groups(routing.groups.row(t).data());
    experts_.clear();
    for (Index k = 0; k < config_.kept_groups; ++k) offer_group(routing.groups(t, k));
    for (Index k = 0; k < config_.K_r; ++k) routing.experts(t, k) = experts_[k];  // Eqs. (14), (16)
    routing.margin(t, 0) = std::min(group_margin, experts_.margin());
  }

 private:
  Index group_size() const { return config_.N_r / config_.num_groups; }

  real keep_groups(Index* kept) {
    groups_.clear();
    for (Index k = 0; k < config_.num_groups; ++k)
      groups_.offer(group_score(config_.group_score, biased_.data() + k * group_size(), group_size()), k);
    for (Index k = 0; k < config_.kept_groups; ++k) kept[k] = groups_[k];
    std::sort(kept, kept + config_.kept_groups);  // experts are then offered by ascending index
    return groups_.margin();
  }

  void offer_group(Index group) {
    for (Index i = group * group_size(); i < (group + 1) * group_size(); ++i) experts_.offer(biased_[i], i);
  }

  const GateConfig& config_;
  std::vector<real> biased_;  // s + b of the token
  TopK groups_, experts_;
};

/// sum_j g'_{j,t} of Eq. (13), guarded.
real sum_of_chosen(const Routing& routing, Index t) {
  real sum = 0;
  for (Index k = 0; k < routing.experts.cols(); ++k) sum += routing.s(t, routing.experts(t, k));
  return sum + denominator_guard;
}

/// Eq. (13): from the scores without bias.
void weigh(const GateConfig& config, Index t, Routing& routing) {
  const auto scale = static_cast<real>(config.routed_scaling_factor);
  const real sum = config.normalise ? sum_of_chosen(routing, t) : 1;
  for (Index k = 0; k < config.K_r; ++k) routing.g(t, k) = routing.s(t, routing.experts(t, k)) / sum * scale;
}

/// ds += the gradient through g = s / sum * scale of the chosen.
void weigh_backward(const GateConfig& config, const Routing& routing, const Matrix& dg, Index t, Row ds) {
  const auto scale = static_cast<real>(config.routed_scaling_factor);
  const real sum = config.normalise ? sum_of_chosen(routing, t) : 1;
  real mean = 0;  // of dg, weighted with s / sum: every chosen score is in the sum of all
  if (config.normalise)
    for (Index k = 0; k < config.K_r; ++k) mean += dg(t, k) * routing.s(t, routing.experts(t, k)) / sum;
  for (Index k = 0; k < config.K_r; ++k) ds[routing.experts(t, k)] += scale * (dg(t, k) - mean) / sum;
}

/// ds becomes the gradient of the logits.
void score_backward(Scoring scoring, const ConstRow& s, Row ds) {
  if (scoring == Scoring::sigmoid) ds *= s * (1 - s);
  else ds = s * (ds - (s * ds).sum()).eval();
}

}  // namespace

void validate(const GateConfig& c) {
  const auto check = [](bool ok, const auto&... what) { require(ok, "GateConfig", what...); };
  check(c.N_r >= 1, "N_r is ", c.N_r, "; it must be at least 1");
  check(c.num_groups >= 1 && c.N_r % c.num_groups == 0, "num_groups is ", c.num_groups, "; it must divide N_r ", c.N_r);
  check(c.kept_groups >= 1 && c.kept_groups <= c.num_groups, "kept_groups is ", c.kept_groups, "; it must be 1 to ",
        c.num_groups);
  const Index group_size = c.N_r / c.num_groups, reachable = c.kept_groups * group_size;
  check(c.K_r >= 1 && c.K_r <= reachable, "K_r is ", c.K_r, "; it must be 1 to ", reachable,
        ", the experts of the kept groups");
  check(c.group_score == GroupScore::maximum || group_size >= 2, "num_groups is ", c.num_groups, " for N_r ", c.N_r,
        "; groups of one expert have no two best scores, they need at least 2");
  check(std::isfinite(c.routed_scaling_factor), "routed_scaling_factor is ", c.routed_scaling_factor,
        "; it must be finite");
}

Routing route_logits(const GateConfig& config, const Matrix& logits, const Matrix& b) {
  validate(config);
  require_logits(config, logits);
  require_bias(config, b);
  const Index T = logits.rows();
  Routing routing{IndexMatrix(T, config.K_r), Matrix(T, config.K_r), Matrix(T, config.N_r),
                  IndexMatrix(T, config.kept_groups), Matrix(T, 1)};
  parallel_rows(T, [&](Index begin, Index count) {
    Choice choice(config);
    for (Index t = begin; t < begin + count; ++t) {
      score(config.scoring, logits.row(t).data(), Row(routing.s.row(t).data(), config.N_r));
      choice.choose(b, t, routing);
      weigh(config, t, routing);
    }
  });
  return routing;
}

Routing route(const GateConfig& config, const Matrix& e, const Matrix& b, const Matrix& u) {
  return route_logits(config, fprop(e, u), b);  // u_t . e_i of Eq. (15)
}

Routing replay(const GateConfig& config, const Matrix& logits, const IndexMatrix& experts) {
  validate(config);
  require_logits(config, logits);
  require_choice(config, experts, logits.rows());
  Routing routing{experts, Matrix(experts.rows(), config.K_r), Matrix(logits.rows(), config.N_r), {}, {}};
  for (Index t = 0; t < logits.rows(); ++t) {
    score(config.scoring, logits.row(t).data(), Row(routing.s.row(t).data(), config.N_r));
    weigh(config, t, routing);
  }
  return routing;
}

Matrix gate_backward(const GateConfig& config, const Routing& routing, const Matrix& dg, Matrix ds) {
  require(shape_of(dg) == shape_of(routing.g), "gate_backward", "dg is ", shape_text(dg), " but g is ",
          shape_text(routing.g), "; they need the same shape");
  if (ds.size() == 0) ds = Matrix::Zero(routing.s.rows(), routing.s.cols());
  require(shape_of(ds) == shape_of(routing.s), "gate_backward", "ds is ", shape_text(ds), " but s is ",
          shape_text(routing.s), "; they need the same shape");
  parallel_rows(ds.rows(), [&](Index begin, Index count) {
    for (Index t = begin; t < begin + count; ++t) {
      const Row row(ds.row(t).data(), ds.cols());
      weigh_backward(config, routing, dg, t, row);                                        // g from s
      score_backward(config.scoring, ConstRow(routing.s.row(t).data(), ds.cols()), row);  // s from the logits
    }
  });
  return ds;
}

}  // namespace dsv3
