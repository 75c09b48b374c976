// SPDX-License-Identifier: MIT
/// \file
/// What sizes, attributes and whole-number inputs must be together, for Op::demands. Each throws std::invalid_argument
/// that begins with the name of an input, a size or an attribute. Inputs are looked at where the case has them.
#pragma once
#include "reference/core/require.hpp"
#include "reference/oracle/op.hpp"

namespace dsv3::oracle {

template <class... Parts>
void demand(bool ok, const Parts&... what) {
  if (!ok) throw std::invalid_argument(concat(what...));
}

/// "d is 0; it must be at least 1"
void demand_at_least(const Case& c, std::string_view letter, Index least, std::string_view why = "");
/// Of a matrix that somebody reads by columns: `reading` is "W_layout=in_out".
void demand_square(const std::string& name, Index rows, Index cols, const char* reading);
/// The attributes and positions of RoPE and YaRN for heads of `width`, which is a size or an attribute.
void demand_rotary(const Case& c, std::string_view width);
/// Sizes and attributes of attention; positions of one sequence.
void demand_attention(const Case& c);
/// Groups and K_r that N_r experts can have.
void demand_selection(const Case& c);
/// K_r of a choice without groups.
void demand_top_k(const Case& c);
/// Experts of 0 to N_r - 1, which is a size or an attribute; `once`: a token's are all different.
void demand_experts(const Case& c, bool once);

}  // namespace dsv3::oracle
