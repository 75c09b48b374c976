// SPDX-License-Identifier: MIT
#include "reference/oracle/ops/selection.hpp"

#include <algorithm>
#include <numeric>

#include "reference/moe/gate.hpp"
#include "reference/oracle/ops/ops.hpp"

namespace dsv3::oracle {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

double fp32(double x) { return static_cast<float>(x); }

double score_of(const std::string& rule, Doubles group) {
  std::ranges::sort(group, std::greater{});
  if (rule == "maximum") return group[0];
  const std::size_t n = rule == "sum" ? group.size() : 2;
  return std::accumulate(group.begin(), group.begin() + static_cast<std::ptrdiff_t>(n), 0.0,
                         [](double sum, double x) { return fp32(sum + x); });
}

struct Best {
  std::vector<Index> indices;  ///< by descending score
  double margin = infinity;
};

Best largest(const Doubles& scores, Index k, bool highest_wins) {
  std::vector<Index> order(scores.size());
  std::iota(order.begin(), order.end(), Index{0});
  if (highest_wins) std::ranges::reverse(order);
  const auto at = [&](Index i) { return scores[static_cast<std::size_t>(i)]; };
  std::ranges::stable_sort(order, std::greater{}, at);
  Best best;
  if (k < std::ssize(order))
    best.margin = at(order[static_cast<std::size_t>(k - 1)]) - at(order[static_cast<std::size_t>(k)]);
  order.resize(static_cast<std::size_t>(k));
  best.indices = std::move(order);
  return best;
}

}  // namespace

Selection::Selection(const Case& c, Index experts)
    : N_r(experts),
      K_r(c.attribute<Index>("K_r")),
      num_groups(c.word("groups") == "ignored" ? 1 : c.attribute<Index>("num_groups")),
      kept_groups(c.word("groups") == "ignored" ? 1 : c.attribute<Index>("kept_groups")),
      group_score(c.word("group_score")),
      zero_mask(c.word("mask") == "zero"),
      highest_group_wins(c.word("ties") == "highest_index" || c.word("ties") == "highest_group"),
      highest_expert_wins(c.word("ties") == "highest_index" || c.word("ties") == "highest_expert"),
      unbiased_groups(c.word("bias") == "experts_only"),
      unbiased(c.word("bias") == "ignored") {
  validate(GateConfig{.N_r = N_r,
                      .K_r = K_r,
                      .num_groups = num_groups,
                      .kept_groups = kept_groups,
                      .group_score = group_score == "maximum" ? GroupScore::maximum : GroupScore::top2_sum});
}

Doubles Selection::biased(const Doubles& s, const Doubles& b) const {
  Doubles sum(s.size());
  for (std::size_t i = 0; i < s.size(); ++i) sum[i] = unbiased ? s[i] : fp32(s[i] + b[i]);
  return sum;
}

Selection::Choice Selection::choose(const Doubles& s, const Doubles& b) const {
  Doubles scores = biased(s, b), groups;
  const Doubles& grouped = unbiased_groups ? s : scores;
  const std::ptrdiff_t size = N_r / num_groups;
  for (Index k = 0; k < num_groups; ++k)
    groups.push_back(score_of(group_score, {grouped.begin() + k * size, grouped.begin() + (k + 1) * size}));
  const Best kept = largest(groups, kept_groups, highest_group_wins);
  for (Index i = 0; i < N_r; ++i)
    if (std::ranges::find(kept.indices, group_of(i)) == kept.indices.end())
      scores[static_cast<std::size_t>(i)] = zero_mask ? 0 : -infinity;
  const Best chosen = largest(scores, K_r, highest_expert_wins);
  Choice choice{kept.indices, chosen.indices, std::min(kept.margin, chosen.margin)};
  std::ranges::sort(choice.groups);
  return choice;
}

bool Selection::explains(const std::vector<Index>& experts, const Doubles& s, const Doubles& b,
                         const Doubles& error) const {
  const auto chosen = [&](Index i) { return std::ranges::find(experts, i) != experts.end(); };
  const auto in_their_groups = [&](Index i) {
    return std::ranges::any_of(experts, [&](Index e) { return group_of(e) == group_of(i); });
  };
  // Their groups as good as they may be, and in them their experts: if that does not lead to their choice, nothing
  // does.
  const auto favoured = [&](const auto& liked) {
    Doubles scores = s;
    for (Index i = 0; i < N_r; ++i) {
      const auto at = static_cast<std::size_t>(i);
      scores[at] += liked(i) ? error[at] : -error[at];
    }
    return scores;
  };
  const std::vector<Index> groups = choose(favoured(in_their_groups), b).groups;
  if (!zero_mask &&
      !std::ranges::all_of(experts, [&](Index e) { return std::ranges::find(groups, group_of(e)) != groups.end(); }))
    return false;
  Doubles scores = biased(favoured(chosen), b);
  // Of zeros in place of scores nobody says which comes first.
  const auto masked = [&](Index i) {
    return zero_mask ? (chosen(i) ? std::numeric_limits<double>::denorm_min() : 0.0) : -infinity;
  };
  for (Index i = 0; i < N_r; ++i)
    if (std::ranges::find(groups, group_of(i)) == groups.end()) scores[static_cast<std::size_t>(i)] = masked(i);
  std::vector<Index> best = largest(scores, K_r, highest_expert_wins).indices, wanted = experts;
  std::ranges::sort(best), std::ranges::sort(wanted);
  return best == wanted;
}

std::vector<AttributeSpec> selection_attributes() {
  const auto size = [](const char* name, Index fallback, const char* what) {
    return AttributeSpec{.name = name, .fallback = fallback, .what = what, .least = 1, .most = 1 << 17};
  };
  return {size("K_r", 4, "experts of a token"),
          size("num_groups", 4, "contiguous groups of experts, one per node"),
          size("kept_groups", 2, "M: groups that a token may reach"),
          {.name = "group_score",
           .fallback = std::string("top2_sum"),
           .what = "of a group: the sum of its two largest biased scores (V3), its maximum (V2), the sum of all",
           .choices = {"top2_sum", "maximum", "sum"},
           .convention = true},
          {.name = "mask",
           .fallback = std::string("minus_infinity"),
           .what = "what experts of dropped groups count as; zero beats negative biased scores",
           .choices = {"minus_infinity", "zero"},
           .convention = true},
          {.name = "ties",
           .fallback = std::string("lowest_index"),
           .what = "which of equal scores: of groups and experts alike, or the highest of the one named alone",
           .choices = {"lowest_index", "highest_index", "highest_expert", "highest_group"},
           .convention = true},
          {.name = "bias",
           .fallback = std::string("selection"),
           .what = "b counts in the selection alone (V3), in the weights too, for experts but not for their groups, or "
                   "nowhere",
           .choices = {"selection", "weights_too", "experts_only", "ignored"},
           .convention = true},
          convention("groups", {"limited", "ignored"}, "experts of the kept groups alone, or of all groups")};
}

}  // namespace dsv3::oracle
