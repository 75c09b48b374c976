// SPDX-License-Identifier: MIT
/// \file
/// How far the gradients of one step are from those in FP32, for the same weights and text: what a precision costs,
/// without what chance makes of it over a run.
#pragma once
#include "reference/training/step.hpp"

namespace dsv3 {

/// |g - g_FP32| / |g_FP32|, both norms over all trained tensors, of the objective of the next step: for the sequences
/// `first` and on, `options.micro_batch` of them, with the weights of `state`. Delayed scaling has seen the sequences
/// before them, with the same weights: `first` must leave that many. NaN where a gradient is not finite. Throws what
/// Model::loss_and_gradients throws.
double gradient_error(const TrainingOptions& options, const TrainingState& state, const BatchSource& batches,
                      Index first, const Precision& precision);

}  // namespace dsv3
