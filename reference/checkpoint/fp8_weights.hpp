// SPDX-License-Identifier: MIT
/// \file
/// Weights stored in E4M3 with one scale per block, as the released checkpoint has them.
#pragma once
#include "reference/checkpoint/shards.hpp"

namespace dsv3 {

/// quantization_config.weight_block_size.
struct BlockSize {
  Index rows = 128, cols = 128;
  friend bool operator==(const BlockSize&, const BlockSize&) = default;
};

/// w = q * s, the scale of q's block: s is [ceil(rows / block.rows), ceil(cols / block.cols)], F32 or BF16; the last
/// row and column of blocks may be smaller. Despite its name, "weight_scale_inv" is this multiplier. Numerics: one FP32
/// product per element, rounded to nearest even, in both libraries. Throws std::runtime_error naming the tensor for a
/// scale of another shape or type, a scale that is not finite, or an E4M3 NaN code.
Matrix dequantise(const TensorView& q, const TensorView& scale, const BlockSize& block);

/// The scale of an E4M3 weight "X": "X_scale_inv" or, with the same meaning, "X_scale". Null if there is none; throws
/// std::runtime_error if there are both.
const TensorView* find_scale(const Checkpoint& checkpoint, const std::string& weight_name);

/// The weight whose scale a tensor of this name would be; empty if it is no scale's name.
std::string weight_of_scale(const std::string& name);

/// A weight in any of the stored types. Throws std::runtime_error if an E4M3 weight has no scale or `block` (of the
/// config) is missing.
Matrix read_weight(const Checkpoint& checkpoint, const std::string& name, const std::optional<BlockSize>& block);

}  // namespace dsv3
