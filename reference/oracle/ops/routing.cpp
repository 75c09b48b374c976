// SPDX-License-Identifier: MIT
#include "reference/oracle/ops/routing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "reference/oracle/joined.hpp"
#include "reference/oracle/ops/ops.hpp"
#include "reference/oracle/ops/selection.hpp"

namespace dsv3::oracle {
namespace {

AttributeSpec scale_factor() {
  return {.name = "routed_scaling_factor",
          .fallback = 2.5,
          .what = "on the weights, after their normalisation",
          .least = 0,
          .most = 1e6};
}

std::vector<std::int64_t> flat(const Rows& rows) {
  std::vector<std::int64_t> all;
  for (const auto& row : rows) all.insert(all.end(), row.begin(), row.end());
  return all;
}

Doubles row_of(const Estimate& e, Index t, double Approx::*what) {
  Doubles row;
  for (Index j = 0; j < e.cols; ++j) row.push_back(e(t, j).*what);
  return row;
}

/// The choice of every token: ours, and theirs where rounding explains it.
class Routed {
 public:
  Routed(Twin& t, const std::string& prefix, const Estimate& s, const Doubles& b)
      : s_(s), b_(b), rule_(t.call, s.cols) {
    const auto given = t.theirs(prefix + "experts", s.rows * rule_.K_r);
    if (given) theirs_ = rows_of(*given, s.rows, rule_.K_r);
    for (Index token = 0; token < s.rows; ++token) judge(token);
    t.out(prefix + "experts", flat(own), flat(needed));
    if (given) t.remarks[prefix + "experts"] = remarks();
  }

  Rows own, needed;  ///< `needed`: what theirs must be
  Rows weighed;      ///< whose weights are asked for: theirs, if it is a choice at all
  Doubles margins, margin_bounds;

 private:
  void judge(Index token) {
    const Doubles s = row_of(s_, token, &Approx::value);
    Doubles error = row_of(s_, token, &Approx::bound);
    for (std::size_t i = 0; i < error.size(); ++i)
      if (error[i] > 0) error[i] = 2 * error[i] + u * std::abs(s[i] + b_[i]);
    const Selection::Choice choice = rule_.choose(s, b_);
    own.push_back(choice.experts);
    margins.push_back(choice.margin);
    margin_bounds.push_back(4 * (error.empty() ? 0 : *std::ranges::max_element(error)) + u * choice.margin);
    const auto& other = theirs_.empty() ? choice.experts : theirs_[static_cast<std::size_t>(token)];
    const bool valid = is_choice(other, rule_.N_r);
    weighed.push_back(valid ? other : choice.experts);
    const bool explained = valid && (same_set(other, choice.experts) || rule_.explains(other, s, b_, error));
    needed.push_back(explained ? other : choice.experts);
    if (other != choice.experts) note(token, other, choice, valid, explained);
  }

  static bool same_set(std::vector<Index> a, std::vector<Index> b) {
    std::ranges::sort(a), std::ranges::sort(b);
    return a == b;
  }

  void note(Index token, const std::vector<Index>& other, const Selection::Choice& choice, bool valid, bool explained) {
    if (same_set(other, choice.experts)) ++reordered_;
    else if (explained) ++explained_;
    else if (++unexplained_ <= 5)
      lines_.push_back(fmt::format("token {} reaches {}; ours are {}{}", token, listed(other), listed(choice.experts),
                                   reason(choice.margin, valid)));
  }

  static std::string listed(const std::vector<Index>& experts) {
    return joined(experts, [](Index e) { return std::to_string(e); });
  }

  std::string reason(double margin, bool valid) const {
    if (!valid) return "; theirs repeat an expert or name one that there is not";
    if (margin == 0) return ", by the rule for ties";
    return fmt::format(", by a margin of {:.3g}, and rounding can move it by {:.3g}", margin, margin_bounds.back());
  }

  std::vector<std::string> remarks() const {
    std::vector<std::string> all = lines_;
    const auto say = [&](Index n, const char* what) {
      if (n > 0) all.push_back(fmt::format("{} of {} tokens {}", n, s_.rows, what));
    };
    say(unexplained_, "reach other experts than rounding explains");
    say(explained_, "reach other experts, which rounding explains");
    say(reordered_, "reach the same experts in another order");
    return all;
  }

  const Estimate& s_;
  const Doubles& b_;
  Selection rule_;
  Rows theirs_;
  std::vector<std::string> lines_;
  Index reordered_ = 0, explained_ = 0, unexplained_ = 0;
};

Estimate column(const Doubles& values, const Doubles& bounds) {
  Estimate e(std::ssize(values), 1);
  for (std::size_t i = 0; i < values.size(); ++i) e.at[i] = {values[i], bounds[i], bounds[i] * bounds[i]};
  return e;
}

}  // namespace

std::vector<AttributeSpec> weight_attributes() {
  return {{.name = "scoring",
           .fallback = std::string("sigmoid"),
           .what = "s from the logits: sigmoid (V3), softmax (V2)",
           .choices = {"sigmoid", "softmax"},
           .convention = true},
          {.name = "normalise",
           .fallback = std::string("selected"),
           .what = "weights divided by the sum of the selected scores (V3), of all scores, or not at all (V2)",
           .choices = {"selected", "all", "none"},
           .convention = true},
          {.name = "scaled",
           .fallback = std::string("after"),
           .what = "by routed_scaling_factor, after the normalisation, not at all, or before it, which undoes it",
           .choices = {"after", "never", "before"},
           .convention = true},
          {.name = "gate_precision",
           .fallback = std::string("fp32"),
           .what = "FP32 throughout; logits rounded to BF16; logits and scores rounded to BF16 (V3's model.py)",
           .choices = {"fp32", "bf16_logits", "bf16"},
           .convention = true},
          scale_factor()};
}

Var gate_scores(Twin& t, Var logits) {
  const std::string& precision = t.call.word("gate_precision");
  if (precision != "fp32") logits = in_format(logits, FormatId::bf16);
  const Var s = t.call.word("scoring") == "sigmoid" ? sigmoid(logits) : softmax_rows(logits);
  return precision == "bf16" ? in_format(s, FormatId::bf16) : s;
}

Var gate_weights(Twin& t, Var s, const Rows& experts) {
  const double factor = t.call.attribute<double>("routed_scaling_factor");
  const Var chosen = picked(s, experts);
  const Var used = t.call.word("scaled") == "before" ? factor * chosen : chosen;
  const std::string& by = t.call.word("normalise");
  const Var g = by == "none" ? used : used / (row_sums(by == "all" ? s : used) + 1e-20);
  return t.call.word("scaled") == "after" ? factor * g : g;
}

Rows rows_of(const std::vector<std::int64_t>& flat, Index T, Index K_r) {
  Rows rows(static_cast<std::size_t>(T));
  for (Index t = 0; t < T; ++t)
    rows[static_cast<std::size_t>(t)].assign(flat.begin() + t * K_r, flat.begin() + (t + 1) * K_r);
  return rows;
}

bool is_choice(const std::vector<Index>& experts, Index N_r) {
  const std::set<Index> different(experts.begin(), experts.end());
  return different.size() == experts.size() &&
         (experts.empty() || (*different.begin() >= 0 && *different.rbegin() < N_r));
}

RoutedTwin choose_and_weigh(Twin& t, Var s, Var b, const std::string& prefix, bool says_margin) {
  Doubles biases;
  for (const Approx& a : b.value().at) biases.push_back(a.value);
  const Routed routed(t, prefix, s.value(), biases);
  if (says_margin) t.out(prefix + "margin", t.tape.input(column(routed.margins, routed.margin_bounds)));
  const Var used = t.call.word("bias") == "weights_too" ? s + b : s;
  return {t.out(prefix + "weights", gate_weights(t, used, routed.weighed)), routed.weighed};
}

std::optional<GateConfig> gate_config(const Case& c, Index N_r) {
  const bool unknown = c.word("group_score") == "sum" || c.word("mask") == "zero" || c.word("ties") != "lowest_index" ||
                       c.word("bias") != "selection" || c.word("groups") == "ignored" || c.word("normalise") == "all" ||
                       c.word("scaled") != "after" || c.word("gate_precision") != "fp32";
  if (unknown) return {};
  return GateConfig{.N_r = N_r,
                    .K_r = c.attribute<Index>("K_r"),
                    .num_groups = c.attribute<Index>("num_groups"),
                    .kept_groups = c.attribute<Index>("kept_groups"),
                    .scoring = c.word("scoring") == "sigmoid" ? Scoring::sigmoid : Scoring::softmax,
                    .group_score = c.word("group_score") == "maximum" ? GroupScore::maximum : GroupScore::top2_sum,
                    .normalise = c.word("normalise") == "selected",
                    .routed_scaling_factor = c.attribute<double>("routed_scaling_factor")};
}

}  // namespace dsv3::oracle
