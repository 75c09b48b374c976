// SPDX-License-Identifier: MIT
/// \file
/// The curves that `dsv3 fp8` has finished: what they say, how they are kept, how they are drawn.
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "reference/training/fp8_experiment.hpp"

namespace dsv3::cli {

using Curve = std::vector<double>;

/// The finished runs of one variant.
struct Fp8Runs {
  std::string name, what;
  std::map<std::uint64_t, Curve> loss;  ///< of every step, by seed
};

struct Fp8Results {
  RunSettings settings;            ///< of every run but its seed and precision
  std::uint64_t text = 0;          ///< RunText::fingerprint()
  std::vector<Fp8Runs> runs = {};  ///< BF16, FP32, then the variants in the order of fp8_variants()
  const Fp8Runs& baseline() const { return runs.front(); }
};

/// BF16, FP32 and every variant, with no run yet.
std::vector<Fp8Runs> no_runs();

/// Relative loss error (EMA 0.9), mean of the last half of the steps, of the seeds that BF16 has as well.
struct Fp8Comparison {
  double mean = 0, least = 0, most = 0;  ///< over the seeds; NaN where there is none, or one broke off
  std::size_t seeds = 0, broken = 0;     ///< a run breaks off where its gradients are not finite
};
Fp8Comparison compare(const Fp8Runs& runs, const Fp8Runs& baseline);

/// How far two seeds lie apart, measured as a variant is: relative loss error (EMA 0.9), mean of the last half of the
/// steps, mean over all pairs of seeds. What training's randomness does; NaN for fewer than two seeds, or if one broke
/// off.
double spread_of_seeds(const Fp8Runs& baseline);

/// The mean over the seeds of the first loss, and of the last one smoothed.
struct LossFall {
  double first = 0, last = 0;
};
LossFall loss_fall(const Fp8Runs& baseline);

/// fp8.json as text; the variants are those that have a run.
std::string results_json(const Fp8Results& results, int indent);

/// Writes OUT/settings.json, OUT/fp8.json and OUT/fp8.svg. There must be a run in BF16.
void save_results(const std::filesystem::path& out, const Fp8Results& results);

/// Reads them back. Throws std::runtime_error where they are missing or not what save_results writes.
Fp8Results load_results(const std::filesystem::path& out);

/// Loss, and relative error of each variant, means over the seeds.
std::string drawing(const Fp8Results& results);

}  // namespace dsv3::cli
