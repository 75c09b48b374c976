// SPDX-License-Identifier: MIT
/// \file
/// The experiment behind section 3.3.2's accumulation error: how it grows with the depth K of a product.
#pragma once
#include <span>
#include <vector>

#include "reference/linear/tensor_core.hpp"

namespace dsv3 {

/// What both factors are drawn from before they are quantised to E4M3 with one scale amax / 448 each.
enum class Samples { uniform, absolute_normal, normal, symmetric_uniform };

/// Errors against the exact product of the codes, over all outputs.
struct DepthError {
  Index K;
  double max_relative;   ///< max |y - exact| / |exact|: without bound where sums cancel
  double mean_relative;  ///< sum (|y| - |exact|) / sum |exact|: below 0 where errors point toward zero
  double rms;            ///< sqrt(mean (y - exact)^2 / mean exact^2)
  double max_over_rms;   ///< max |y - exact| / sqrt(mean exact^2)
};

/// One entry for each depth: `outputs` x `outputs` products of `outputs` x K factors drawn from `seed`. How the
/// interval of `how` acts is the experiment's question.
std::vector<DepthError> error_against_depth(const Accumulation& how, Samples samples, std::span<const Index> depths,
                                            Index outputs = 48, std::uint64_t seed = 1);

}  // namespace dsv3
