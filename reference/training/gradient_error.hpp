// SPDX-License-Identifier: MIT
/// \file
/// How far the gradients of one step are from those in FP32, for the same weights and text: what a precision costs,
/// without what chance makes of it over a run.
#pragma once
#include <span>

#include "reference/training/step.hpp"

namespace dsv3 {

/// |g - g_exact| / |g_exact|, both norms over all tensors that gradients train. NaN where a value is not finite.
double relative_difference(ModelWeights<Matrix>& g, ModelWeights<Matrix>& exact);

/// That of each precision against FP32, of the objective of the next step: for the sequences `first` and on,
/// `options.micro_batch` of them, with the weights of `state`. Delayed scaling has seen as many batches before them,
/// with the same weights, as its histories hold: `first` must leave amax_history_length of them. NaN where a gradient
/// is not finite. Throws std::invalid_argument for a `first` too small, and what `batches` throws.
std::vector<double> gradient_errors(const TrainingOptions& options, const TrainingState& state,
                                    const BatchSource& batches, Index first, std::span<const Precision> precisions);

}  // namespace dsv3
