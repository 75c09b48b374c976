// SPDX-License-Identifier: MIT
#include "reference/oracle/ops/demands.hpp"

#include "reference/oracle/ops/routing.hpp"

namespace dsv3::oracle {
namespace {

Index size(const Case& c, std::string_view letter) { return c.sizes.find(letter)->second; }

void demand_positions(const Case& c) {
  const Index max_length = c.attribute<Index>("max_length");
  for (const std::int64_t position : integers(c.in("positions")))
    demand(position >= 0 && position < max_length, "positions: one is ", position,
           "; it must be from 0 to max_length - 1 = ", max_length - 1);
}

void demand_one_sequence(const Case& c) {
  const std::vector<std::int64_t> positions = integers(c.in("positions"));
  for (std::size_t i = 1; i < positions.size(); ++i)
    demand(positions[i] == positions[i - 1] + 1, "positions: token ", i, " is at ", positions[i], "; it must be at ",
           positions[i - 1] + 1, ": the tokens are one sequence");
}

}  // namespace

void demand_at_least(const Case& c, std::string_view letter, Index least, std::string_view why) {
  demand(size(c, letter) >= least, letter, " is ", size(c, letter), "; it must be at least ", least, why);
}

void demand_square(const std::string& name, Index rows, Index cols, const char* reading) {
  demand(rows == cols, name, ": is [", rows, ", ", cols, "]; ", reading, " needs a square one");
}

void demand_rotary(const Case& c, std::string_view width) {
  const Index n = size(c, width);
  demand(n >= 2 && n % 2 == 0, width, " is ", n, "; it must be even and at least 2");
  const double factor = c.attribute<double>("yarn_factor"), fast = c.attribute<double>("beta_fast"),
               slow = c.attribute<double>("beta_slow");
  demand(factor == 0 || factor >= 1, "yarn_factor is ", factor, "; it must be at least 1, or 0 for plain RoPE");
  demand(factor == 0 || fast >= slow, "beta_fast is ", fast, "; it must be at least beta_slow = ", slow);
  if (c.inputs.contains("positions")) demand_positions(c);
}

void demand_attention(const Case& c) {
  for (const char* const letter : {"d", "d_q", "d_c"}) demand_at_least(c, letter, 1);
  if (c.inputs.contains("positions")) demand_one_sequence(c);
  demand_rotary(c, "d_r");
}

void demand_selection(const Case& c) {
  demand_at_least(c, "N_r", 1);
  const Index N_r = size(c, "N_r"), K_r = size(c, "K_r"), groups = c.attribute<Index>("num_groups"),
              kept = c.attribute<Index>("kept_groups");
  demand(N_r % groups == 0, "num_groups is ", groups, "; it must divide N_r = ", N_r);
  demand(kept <= groups, "kept_groups is ", kept, "; it must be from 1 to num_groups = ", groups);
  const Index in_group = N_r / groups, reachable = kept * in_group;
  demand(K_r <= reachable, "K_r is ", K_r, "; it must be from 1 to ", reachable, ", the experts of the kept groups");
  demand(c.word("group_score") == "maximum" || in_group >= 2, "num_groups is ", groups, " for N_r = ", N_r,
         "; group_score=", c.word("group_score"), " needs groups of at least 2 experts");
}

void demand_top_k(const Case& c) {
  const Index N_r = size(c, "N_r"), K_r = size(c, "K_r");
  demand(K_r >= 1 && K_r <= N_r, "K_r is ", K_r, "; it must be from 1 to N_r = ", N_r);
}

void demand_experts(const Case& c, bool once) {
  const auto found = c.inputs.find("experts");
  if (found == c.inputs.end()) return;
  const Index T = found->second.shape[0], K = found->second.shape[1], N_r = size(c, "N_r");
  Index token = 0;
  for (const auto& of_token : rows_of(integers(found->second), T, K)) {
    for (const Index expert : of_token)
      demand(expert >= 0 && expert < N_r, "experts: token ", token, " asks for expert ", expert,
             "; it must be from 0 to N_r - 1 = ", N_r - 1);
    demand(!once || is_choice(of_token, N_r), "experts: token ", token, " asks for an expert twice; its ", K,
           " must be different");
    ++token;
  }
}

}  // namespace dsv3::oracle
