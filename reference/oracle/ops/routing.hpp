// SPDX-License-Identifier: MIT
/// \file
/// The gate as a twin: scores, the choice that theirs are judged by, and weights; Eqs. (13) to (16).
#pragma once
#include "reference/moe/config.hpp"
#include "reference/oracle/twin/twin.hpp"

namespace dsv3::oracle {

using Rows = std::vector<std::vector<Index>>;  ///< the experts of each token

/// How weights come from scores.
std::vector<AttributeSpec> weight_attributes();

/// s of Eq. (15).
Var gate_scores(Twin& t, Var logits);
/// Eq. (13), of the chosen: `s` is what the weights are made of.
Var gate_weights(Twin& t, Var s, const Rows& experts);

struct RoutedTwin {
  Var weights;
  Rows experts;  ///< theirs where they are a choice at all, else ours
};
/// States `experts` (theirs where rounding explains them, else ours), `margin` and `weights`, the names after `prefix`.
RoutedTwin choose_and_weigh(Twin& t, Var s, Var b, const std::string& prefix = "", bool says_margin = true);

Rows rows_of(const std::vector<std::int64_t>& flat, Index T, Index K_r);
/// Different experts, each of 0 to N_r - 1.
bool is_choice(const std::vector<Index>& experts, Index N_r);

/// Some combinations of conventions are the reference's: V3 and V2.
std::optional<GateConfig> gate_config(const Case& c, Index N_r);

}  // namespace dsv3::oracle
