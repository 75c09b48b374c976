// SPDX-License-Identifier: MIT
/// \file
/// Runs of panels of a product: down a column of strips, or across one strip.
#pragma once
#include "reference/linear/panel_kernel.hpp"

namespace dsv3 {

/// Rows of a strip whose sums fill the registers, for panels of one or two packets.
template <int packets>
inline constexpr Index strip_rows = packets == 1 ? 12 : 6;

/// Columns 0 .. cols-1 of b as a whole panel of `packets`: packed row k = b(k, 0 .. cols-1), then values of no meaning.
template <int packets>
void pack_panel(real* packed, const Factor& b, Index depth, Index cols);

/// One panel below the other to row m of out, in strips whose heights differ by at most one row.
template <int packets>
void multiply_down(Panels p, Index m);

/// One panel beside the other, `rows` at most `strip_rows<2>`. The caller says how far a, b, next and out move.
void multiply_across(Panels p, Index rows);

}  // namespace dsv3
