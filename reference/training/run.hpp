// SPDX-License-Identifier: MIT
/// \file
/// A whole training run: text, steps, evaluation, checkpoints, log.
#pragma once
#include <filesystem>
#include <functional>

#include "reference/training/log.hpp"
#include "reference/training/run_lock.hpp"
#include "reference/training/settings.hpp"
#include "reference/training/text.hpp"

namespace dsv3 {

/// What a run tells while it goes on.
struct RunEvents {
  std::function<void(const std::string&)> note;  ///< a sentence about what begins now
  std::function<bool()> stop;                    ///< asked before the first step and after each; true: end here, saved
  std::function<void(const StepReport&, const StepExtras&)> step;  ///< after each step
};

/// Peak memory of the steps, in bytes: what the system saw beside what the structs add up to.
struct MemoryReport {
  /// Peak above what the program and its text needed before, pages of files left out; 0 where the system does not say.
  std::size_t measured = 0;
  std::size_t weights = 0, gradients = 0, moments = 0;
  std::size_t activations = 0;  ///< what F kept for B, from the structs of the largest micro-batch
  std::size_t temporary = 0;    ///< the largest of what lives inside B only
  std::size_t threads = 0;      ///< stacks of the threads: the copies that a matrix product makes of its factors
  std::size_t predicted() const { return weights + gradients + moments + activations + temporary + threads; }
};

/// What a run hands back; the rest is in its folder.
struct RunResult {
  ModelConfig config;
  TrainingOptions options;
  RunText text;
  Batch held_out;
  TrainingState state;
  Index first_step = 0;    ///< steps that were done before this call
  double loss_before = 0;  ///< held out, with the weights this call began with
  double loss_after = 0;   ///< held out, with the last
  MemoryReport memory;
};

/// Begins a run in a folder that holds none: trains a tokenizer, draws weights, takes settings.steps steps.
/// Throws std::invalid_argument for settings that cannot be right, std::runtime_error for text that cannot be read, a
/// folder that holds a run already, a disk that is full (the newest checkpoint is then whole) and a loss that is not
/// finite, a model whose weights, gradients and moments exceed this machine's memory, and what RunLock throws. Where it
/// throws before the first step, it leaves nothing behind.
RunResult start_run(const RunSettings& settings, const RunLock& lock, const RunEvents& events);
RunResult start_run(const RunSettings& settings, const std::filesystem::path& out, const RunEvents& events);

/// Throws std::runtime_error unless the folder holds a run.
void require_run(const std::filesystem::path& out);

/// Goes on from the newest checkpoint (or the beginning, if there is none yet) of a run, with its settings, to the same
/// bits as if it had never stopped. The log loses what came after the checkpoint. A run that is complete does nothing.
RunResult resume_run(const std::filesystem::path& out, const RunEvents& events);

/// The configuration that settings name, with the vocabulary of a tokenizer.
ModelConfig config_of(const RunSettings& settings);

/// Weights, gradients, two moments and what F keeps of every token of a micro-batch (of it: the inputs of the two
/// halves of a block, c_Q, c_KV and o) must fit, whatever else is needed. Throws std::runtime_error "WHERE: ..." with
/// what they need and what this machine has.
void require_memory(const RunSettings& settings, const ModelConfig& config, MomentFormat moments,
                    const std::string& where);

}  // namespace dsv3
