// SPDX-License-Identifier: MIT
/// \file
/// Which experts a token reaches, Eqs. (14) and (16), with every rule that real systems follow; and whether rounding
/// can be the reason why somebody chose others.
#pragma once
#include "reference/oracle/op.hpp"

namespace dsv3::oracle {

struct Selection {
  Index N_r, K_r, num_groups, kept_groups;
  std::string group_score;   ///< top2_sum, maximum or sum
  bool zero_mask;            ///< experts of dropped groups count as 0, not as -infinity
  bool highest_group_wins;   ///< of equal scores the highest index
  bool highest_expert_wins;  ///< the same
  bool unbiased_groups;      ///< groups are kept by their scores without bias
  bool unbiased;             ///< and experts are chosen without it

  /// From the attributes of a gate. Throws std::invalid_argument for sizes that cannot be.
  explicit Selection(const Case& c, Index N_r);
  /// s + b of each expert in FP32; where the bias is ignored, s.
  Doubles biased(const Doubles& s, const Doubles& b) const;
  Index group_of(Index expert) const { return expert / (N_r / num_groups); }

  struct Choice {
    std::vector<Index> groups, experts;  ///< ascending; by descending score
    double margin = 0;  ///< the smaller lead of the last chosen over the best other, of groups and of experts
  };
  /// Scores in FP32, group scores rounded to it.
  Choice choose(const Doubles& s, const Doubles& b) const;

  /// Whether scores that are each off by at most `error` (the sum s + b included) can lead to this choice.
  bool explains(const std::vector<Index>& experts, const Doubles& s, const Doubles& b, const Doubles& error) const;
};

/// K_r and the groups, and the rules above as conventions.
std::vector<AttributeSpec> selection_attributes();

}  // namespace dsv3::oracle
