// SPDX-License-Identifier: MIT
/// \file
/// What --model may name: a Hugging Face folder, a checkpoint, or a run.
#pragma once
#include <filesystem>

namespace dsv3::cli {

/// A folder with a config.json itself, or the newest checkpoint of a run's folder.
/// Throws std::runtime_error saying what was looked for.
std::filesystem::path model_folder(const std::filesystem::path& path);

}  // namespace dsv3::cli
