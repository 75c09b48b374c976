// SPDX-License-Identifier: MIT
/// \file
/// What --model may name: a Hugging Face folder, a checkpoint, or a run.
#pragma once
#include <filesystem>

#include "reference/serving/streamed_weights.hpp"

namespace dsv3::cli {

/// A folder with a config.json itself, or the newest checkpoint of a run's folder.
/// Throws std::runtime_error saying what was looked for.
std::filesystem::path model_folder(const std::filesystem::path& path);

/// Opens such a folder; says on stderr what of config.json is not in the checkpoint.
StreamedModel open_model_folder(const std::filesystem::path& folder);

}  // namespace dsv3::cli
