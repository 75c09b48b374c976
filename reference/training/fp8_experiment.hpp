// SPDX-License-Identifier: MIT
/// \file
/// Section 3.3 as an experiment: the same model, text and seeds in BF16 and in FP8 recipes, and how far their losses
/// lie apart (appendix B.1, Figure 10).
#pragma once
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "reference/training/settings.hpp"
#include "reference/training/text.hpp"

namespace dsv3 {

struct Fp8Variant {
  const char* name;
  const char* what;  ///< in a few words
  Fp8Recipe recipe;
};

/// The report's recipe and what it argues against: delayed scaling per tensor, no promotion, gradients in blocks
/// (appendix B.2), E5M2 gradients, narrower accumulators.
std::span<const Fp8Variant> fp8_variants();

/// The variant of that name. Throws std::invalid_argument with the names there are.
const Fp8Variant& fp8_variant_named(const std::string& name);

/// An exponential moving average, ema_1 = loss_1 and ema_t = 0.9 ema_{t-1} + 0.1 loss_t: Figure 10's smoothing.
std::vector<double> smoothed(const std::vector<double>& loss);

/// |a - b| / b of two smoothed curves at each step. Throws std::invalid_argument for curves of unequal length.
std::vector<double> relative_errors(const std::vector<double>& loss, const std::vector<double>& baseline);

/// The mean of the last half of some values: what a run has settled to.
double mean_of_last_half(const std::vector<double>& values);

/// The training loss of every step of `settings` in `precision`; `go_on` is told of each, and where it says no the
/// curve ends. Equal settings give equal weights and batches, whatever the precision. The loss is NaN from where a run
/// breaks off because its gradients are not finite.
std::vector<double> loss_curve(const RunSettings& settings, const ModelConfig& config, const RunText& text,
                               const Precision& precision, const std::function<bool(Index, double)>& go_on);

}  // namespace dsv3
