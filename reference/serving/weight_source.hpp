// SPDX-License-Identifier: MIT
/// \file
/// Where the weights of a forward pass come from: memory, or files read layer by layer.
#pragma once
#include <functional>
#include <memory>
#include <span>

#include "reference/model/embedding.hpp"
#include "reference/model/weights.hpp"

namespace dsv3 {

/// Each function hands out one piece; what it returns may be dropped before the next piece is asked for, so a model
/// larger than memory passes through it layer by layer and expert by expert.
struct WeightSource {
  std::function<Matrix(std::span<const Token>)> embed;  ///< the rows of these tokens, [T, d]
  /// Layer 0 .. L-1. The routed experts of its FFN may be missing: they are asked for one by one.
  std::function<std::shared_ptr<const BlockWeights<Matrix>>(Index layer)> block;
  /// Routed expert `expert` of layer 0 .. L-1, or of MTP module k as layer L+k-1. Valid until the next call.
  std::function<const SwigluWeights<Matrix>&(Index layer, Index expert)> expert;
  std::function<RmsNormWeights<Matrix>()> norm_final;
  std::function<Matrix(Index first, Index count)> head_rows;  ///< rows first .. first+count-1 of the head, [count, d]
  /// MTP module k = 1 .. D, its routed experts possibly missing.
  std::function<std::shared_ptr<const MtpWeights<Matrix>>(Index k)> mtp;
};

/// A model that stands in memory; `weights` must outlive the source.
WeightSource source_of(const ModelWeights<Matrix>& weights);

}  // namespace dsv3
