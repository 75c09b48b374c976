// SPDX-License-Identifier: MIT
/// \file
/// What the ops of RoPE and YaRN share: their attributes, and the twin's tables.
#pragma once
#include "reference/oracle/twin/twin.hpp"
#include "reference/rope/rope.hpp"

namespace dsv3::oracle {

/// theta, the constants of YaRN and the conventions of the tables.
std::vector<AttributeSpec> rotary_attributes();

/// The table for the case's positions, checked. `config` has the attributes, read as usual.
RopeConfig rope_config(const Case& c, Index width);
RopeTable rope_table(const Case& c, Index width);
/// Whether the reference has the conventions of the case.
bool has_usual_tables(const Case& c);

/// Whether something is interpolated, as the case reads it.
bool interpolates(const Case& c);
/// Radians per position, [1, width/2].
Var frequencies(Tape& tape, const Case& c, Index width);
/// cos and sin of every angle, [T, width/2], from frequencies f where angles are formed in FP32.
struct Turns {
  Var cos, sin;
};
Turns turns(Twin& t, Var f, Index width);
/// Which channels form a pair, the sign of the angle, and what the rotation is computed in.
std::vector<AttributeSpec> rotation_attributes();
/// The heads of each token, [T heads, width], turned by their token's angles.
Var rotated(const Case& call, Var x, Index heads, const Turns& table);
/// 0.1 m ln(s) + 1.
double temperature(const Case& c, double m);

std::vector<std::int64_t> drawn_positions(const std::string& kind, Index T, Index max_length, Random& random);

}  // namespace dsv3::oracle
