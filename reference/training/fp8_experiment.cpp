// SPDX-License-Identifier: MIT
#include "reference/training/fp8_experiment.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "reference/core/require.hpp"
#include "reference/training/step.hpp"

namespace dsv3 {
namespace {

constexpr Fp8Arithmetic summed(const Accumulation& how) { return {.accumulation = how}; }

/// Hopper's tensor core with fewer bits.
constexpr Accumulation narrow{.fraction_bits = 6, .output_fraction_bits = 6};

constexpr std::array<Fp8Variant, 8> variants{{
    {"fp8", "the report's recipe, exact-as-FP32 sums in a block", {}},
    {"hopper", "the same on Hopper's tensor core, promoted every 128", {.arithmetic = summed(hopper_fp8_wgmma)}},
    {"narrow", "the same on one of 6 fraction bits", {.arithmetic = summed(narrow)}},
    {"no_promotion",
     "one scale per tensor on Hopper's tensor core, never promoted",
     {.scaling = Scaling::per_tensor, .arithmetic = summed(hopper_fp8_wgmma.promoted_every(0))}},
    {"per_tensor", "one scale per tensor, from itself", {.scaling = Scaling::per_tensor}},
    {"delayed", "one scale per tensor, from the steps before", {.scaling = Scaling::delayed}},
    {"gradient_blocks", "gradients in blocks of 128x128 in Dgrad", {.dgrad_groups = block_128x128}},
    {"hybrid", "gradients in E5M2", {.gradient = FormatId::e5m2}},
}};

}  // namespace

std::span<const Fp8Variant> fp8_variants() { return variants; }

const Fp8Variant& fp8_variant_named(const std::string& name) {
  std::string names;
  for (const Fp8Variant& variant : variants) {
    if (name == variant.name) return variant;
    names += concat(names.empty() ? "" : ", ", variant.name);
  }
  throw std::invalid_argument(concat("fp8: there is no variant '", name, "'; it must be one of ", names));
}

std::vector<double> smoothed(const std::vector<double>& loss) {
  std::vector<double> ema = loss;
  for (std::size_t t = 1; t < ema.size(); ++t) ema[t] = 0.9 * ema[t - 1] + 0.1 * loss[t];
  return ema;
}

std::vector<double> relative_errors(const std::vector<double>& loss, const std::vector<double>& baseline) {
  require(loss.size() == baseline.size(), "relative_errors", "the curves have ", loss.size(), " and ", baseline.size(),
          " steps; they must be of equal length");
  const std::vector<double> a = smoothed(loss), b = smoothed(baseline);
  std::vector<double> errors(a.size());
  for (std::size_t t = 0; t < a.size(); ++t) errors[t] = std::abs(a[t] - b[t]) / b[t];
  return errors;
}

double mean_of_last_half(const std::vector<double>& values) {
  require(!values.empty(), "mean_of_last_half", "there are no values; it needs one");
  const auto begin = values.begin() + std::ssize(values) / 2;
  return std::accumulate(begin, values.end(), 0.0) / static_cast<double>(values.end() - begin);
}

std::vector<double> loss_curve(const RunSettings& settings, const ModelConfig& config, const RunText& text,
                               const Precision& precision, const std::function<bool(Index, double)>& go_on) {
  TrainingOptions options = options_of(settings, config);
  options.precision = precision;
  TrainingState state = initial_state(options);
  Trainer trainer(options);
  const BatchSource batches = batches_of(text, settings.sequence_length, settings.seed);
  std::vector<double> loss;
  try {
    while (state.step < settings.steps) {
      loss.push_back(trainer.step(state, batches).loss.main_loss());
      if (go_on && !go_on(state.step, loss.back())) return loss;
    }
  } catch (const NotFinite&) {  // this run ends here, and the curve shows it
    loss.resize(static_cast<std::size_t>(settings.steps), std::numeric_limits<double>::quiet_NaN());
  }
  return loss;
}

}  // namespace dsv3
