// SPDX-License-Identifier: MIT
/// \file
/// Where in a tensor the wrong elements sit: what points to a cause.
#pragma once
#include "reference/oracle/verdict.hpp"

namespace dsv3::oracle {

/// Place by place from the last dimension: 7 of [2, 5] is (1, 2).
std::vector<Index> index_of(Index flat, const std::vector<Index>& shape);

/// The places that hold all the elements that `is_outside` says, fewest elements first: one row or column, the last
/// block of 128 columns or rows, the edges of blocks of 128, the first or last row; "everywhere" if none does.
std::vector<Place> places_of(const std::vector<Index>& shape, const std::function<bool(Index)>& is_outside);

}  // namespace dsv3::oracle
