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
/// scale of another shape or type, a scale that is not finite or not above 0 (quantising divides by it), or an E4M3 NaN
/// code.
Matrix dequantise(const TensorView& q, const TensorView& scale, const BlockSize& block);

/// What is wrong with the scale of the E4M3 weight `weight_name`, as far as headers say: none, two, of another shape or
/// type, or no `block` (of the config). Empty if nothing is. The scale of "X" is called "X_scale_inv" or, with the same
/// meaning, "X_scale".
std::string scale_problem(const Checkpoint& checkpoint, const std::string& weight_name,
                          const std::optional<BlockSize>& block);

/// The weight whose scale a tensor of this name would be; empty if it is no scale's name.
std::string weight_of_scale(const std::string& name);

/// A weight in any of the stored types. Throws std::runtime_error about its scale as above, and as to_matrix and
/// dequantise do.
Matrix read_weight(const Checkpoint& checkpoint, const std::string& name, const std::optional<BlockSize>& block);

}  // namespace dsv3
