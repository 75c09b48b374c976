// SPDX-License-Identifier: MIT
/// \file
/// Clipping of the gradient by its global norm, section 4.2 (norm 1.0).
#pragma once
#include <vector>

#include "reference/core/parameters.hpp"

namespace dsv3 {

/// The Euclidean norm over all gradients together, biases (b_i of Eq. (16)) left out.
///
/// Numerics contract: squares and sums in double; each tensor in blocks of 8192 values, each block in eight
/// interleaved sums that are then added in order, blocks and tensors in the order of the list. The bits are the same
/// for any number of threads. A NaN or an infinity among the gradients gives a NaN or an infinity: the caller decides
/// (leave out the update, or stop).
double global_norm(const std::vector<NamedTensor>& gradients);

/// What to multiply the gradients by: min(1, max_norm / norm); 1 for norm 0. Hand it to adamw_step, which needs no
/// extra pass for it. NaN for a norm that is not finite, and adamw_step refuses that.
/// Differs from common libraries: nothing is added to the norm in the denominator.
/// \throws std::invalid_argument unless max_norm is finite and > 0 and norm is not negative.
double clip_factor(double norm, double max_norm);

}  // namespace dsv3
