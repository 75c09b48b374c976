// SPDX-License-Identifier: MIT
/// \file
/// What a run leaves on the disk, and how it goes on from there.
///
///     OUT/run.json                      its settings
///     OUT/tokenizer.json                Hugging Face's format
///     OUT/log.jsonl                     a line per step
///     OUT/curves.svg                    drawn from the log
///     OUT/run.lock                      while a process is at work there
///     OUT/checkpoints/step_000100/      config.json, model.safetensors, tokenizer.json: a Hugging Face folder
///                                       optimizer.safetensors, state.json: what training needs besides,
///                                       and with delayed scaling amax.safetensors
///
/// A checkpoint appears under its name complete or not at all, so a run killed at any moment goes on from the newest.
#pragma once
#include <filesystem>
#include <optional>

#include "reference/checkpoint/hf_config.hpp"
#include "reference/training/step.hpp"

namespace dsv3 {

/// Writes OUT/checkpoints/step_N and deletes all older ones but the one before, with what a killed save has left
/// behind. `fingerprint` and `ends` are the text's.
void save_training_state(const std::filesystem::path& out, const TrainingOptions& options, const TrainingState& state,
                         std::uint64_t fingerprint, const TextEnds& ends = {});

/// The folder of the newest complete checkpoint of a run, if there is one.
std::optional<std::filesystem::path> newest_checkpoint(const std::filesystem::path& out);

/// Reads a checkpoint of a run with these options. Bit for bit what was saved.
/// Throws std::runtime_error naming what is missing or does not fit, the text included.
TrainingState load_training_state(const std::filesystem::path& checkpoint, const TrainingOptions& options,
                                  std::uint64_t fingerprint);

}  // namespace dsv3
