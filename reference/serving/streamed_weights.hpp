// SPDX-License-Identifier: MIT
/// \file
/// A Hugging Face checkpoint as a source of weights, read from the disk piece by piece.
#pragma once
#include <filesystem>

#include "reference/checkpoint/hf_config.hpp"
#include "reference/serving/weight_source.hpp"

namespace dsv3 {

struct StreamedModel {
  HfConfig config;       ///< with as many MTP modules as the checkpoint holds
  Index absent_mtp = 0;  ///< modules that config.json announces but the checkpoint has no tensor of
  WeightSource source;
};

/// Opens a folder with config.json and safetensors files and checks every tensor's name, type and shape before anything
/// is read. At any time the source holds one layer without its routed experts, one expert, and a piece of the head:
/// tensors are mapped, so a checkpoint may be larger than memory. MTP modules of which no tensor is there are left out,
/// for the caller to report: transformers saves models so.
/// Throws std::runtime_error: naming the field where config.json counts other layers or experts than the checkpoint
/// (require_same_counts); listing everything that does not fit (checkpoint_problems); and, when a piece is read, naming
/// what it holds that is no weight (values that are not finite, scales that do not fit).
StreamedModel open_streamed(const std::filesystem::path& folder);

}  // namespace dsv3
