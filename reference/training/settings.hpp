// SPDX-License-Identifier: MIT
/// \file
/// A training run as its user describes it: few numbers, kept in the run's folder, from which all others follow.
#pragma once
#include <filesystem>
#include <set>
#include <string>

#include "reference/training/options.hpp"

namespace dsv3 {

struct RunSettings {
  std::string config = "tour";  ///< a name of config_names() or the path of a config.json
  std::string data;             ///< a text file or a folder of them
  Index steps = 400;
  Index sequences = 8;                     ///< per step, at full batch size
  Index sequence_length = 128;             ///< T
  Index micro_batch = 8;                   ///< sequences in memory at once
  double learning_rate = 5e-3;             ///< the peak of the schedule
  double bias_speed = 0.01;                ///< gamma until the last stretch of the schedule
  double balance_alpha = 1e-4;             ///< alpha of Eq. (17)
  std::string balance_scope = "sequence";  ///< or "batch"
  std::string precision = "fp32";          ///< or "bf16" or "fp8", or "fp8:NAME" of fp8_variants()
  std::string device = "cpu";              ///< or one of products_of(): where products in FP8 are computed
  std::string moments = "fp32";            ///< or "bf16"
  std::uint64_t seed = 1;
  Index evaluate_every = 50;  ///< steps between looks at held-out text; 0: only at the end
  Index save_every = 100;     ///< steps between checkpoints; 0: only at the end
  friend bool operator==(const RunSettings&, const RunSettings&) = default;
};

/// All numbers of the run. The schedules are the report's scaled to the tokens of this run: the same shape, warm-up of
/// a tenth of the steps and at most 100, constant batch. Learning rate and bias speed are this project's own: a small
/// model that trains for a few hundred steps needs more than the report's 2.2e-4 and 0.001.
/// Throws std::invalid_argument naming the first setting that cannot be right and what it needs.
TrainingOptions options_of(const RunSettings& settings, const ModelConfig& config);

/// The same settings with the paths of text and config.json made absolute: a run goes on from any folder.
RunSettings with_absolute_paths(RunSettings settings);

/// Throws std::invalid_argument for the first setting among `given`, by the names of their options ("--data"), that is
/// not as the run began; relative paths are taken from here.
void require_same(const RunSettings& kept, const RunSettings& asked, const std::set<std::string>& given,
                  const std::string& where);

/// JSON, every field by name. read_settings throws std::runtime_error naming the file for anything but exactly these
/// fields.
void write_settings(const std::filesystem::path& path, const RunSettings& settings);
RunSettings read_settings(const std::filesystem::path& path);

}  // namespace dsv3
