// SPDX-License-Identifier: MIT
/// \file
/// Sizes and rules of DeepSeekMoE and its gate, section 2.1.2.
#pragma once
#include "reference/core/real.hpp"

namespace dsv3 {

enum class Scoring { sigmoid, softmax };      ///< V3, V2
enum class GroupScore { top2_sum, maximum };  ///< V3: sum of the two best biased scores; V2: the best

struct GateConfig {
  Index N_r = 0;          ///< routed experts; 0: a dense layer
  Index K_r = 0;          ///< routed experts per token
  Index num_groups = 1;   ///< contiguous blocks of experts, one per node
  Index kept_groups = 1;  ///< M: groups a token may reach
  Scoring scoring = Scoring::sigmoid;
  GroupScore group_score = GroupScore::top2_sum;
  bool has_bias = true;              ///< b_i of Eq. (16) exists
  bool normalise = true;             ///< divide by the sum over the selected, Eq. (13)
  double routed_scaling_factor = 1;  ///< 2.5 in V3; after the normalisation; never on shared experts
  friend bool operator==(const GateConfig&, const GateConfig&) = default;
};

struct MoeConfig {
  Index d = 0;         ///< model width
  Index d_shared = 0;  ///< width of the shared FFN, N_s * d_expert; of the FFN if N_r is 0
  Index d_expert = 0;  ///< width of one routed expert
  GateConfig gate;
  friend bool operator==(const MoeConfig&, const MoeConfig&) = default;
};

}  // namespace dsv3
