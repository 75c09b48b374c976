// SPDX-License-Identifier: MIT
/// \file
/// One line of JSON per step: the log of a run.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "reference/training/step.hpp"

namespace dsv3 {

/// What is known after a step besides its report.
struct StepExtras {
  std::optional<double> held_out_loss;    ///< if the step ended with an evaluation
  double seconds = 0;                     ///< wall time of the step
  std::optional<double> held_out_before;  ///< before the first step of a run
};

/// {"step", "tokens", "loss", "mtp_loss": [...], "balance_loss", "gradient_norm", "learning_rate", "bias_speed",
/// "mtp_lambda", "sequences", "max_vio", "load": [[...]], "seconds", and "held_out_loss" and "held_out_before" where
/// there is one}, without a line break. Numbers round-trip exactly.
std::string log_line(const StepReport& report, const StepExtras& extras);

/// What curves are drawn from.
struct LogEntry {
  Index step = 0, tokens = 0;
  double loss = 0, max_vio = 0;
  std::vector<double> mtp_loss;
  std::optional<double> held_out_loss, held_out_before;
  std::vector<std::vector<Index>> load;
};

/// The log of a run that goes on.
class LogFile {
 public:
  /// Opens it, or makes an empty one.
  explicit LogFile(std::filesystem::path path);
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  /// Adds a line at the end. Throws std::runtime_error where it cannot be written.
  void add(const std::string& line);
  /// Brings all lines to the disk: before a checkpoint counts on them.
  void sync();

 private:
  std::filesystem::path path_;
  int fd_;
};

/// Throws std::runtime_error naming the file and line that is not such an object.
std::vector<LogEntry> read_log(const std::string& path);

/// Keeps the lines of steps 1 .. `last_step` of a log (all of it, or none, replaced at once): what a resumed run adds
/// to. Throws std::runtime_error, and changes nothing, where not each of these steps has one line, in order.
void truncate_log(const std::string& path, Index last_step);

}  // namespace dsv3
