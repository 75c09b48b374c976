// SPDX-License-Identifier: MIT
/// \file
/// A whole model to and from a Hugging Face checkpoint folder.
#pragma once
#include "reference/checkpoint/hf_config.hpp"
#include "reference/checkpoint/hf_names.hpp"

namespace dsv3 {

/// What does not fit, one line per tensor: missing, unmapped (in the checkpoint but not in the model), of another
/// shape, of a type that holds no weights, FP8 without its scale, a scale without its weight. Reads headers only, so a
/// model of Shape can be checked that is too large for this machine.
std::vector<std::string> checkpoint_problems(const Checkpoint& checkpoint, const LoadOptions& options,
                                             const HfTensors<Shape>& tensors);

/// Throws ONE std::runtime_error that lists up to 20 of those problems, if there are any.
void require_no_problems(const Checkpoint& checkpoint, const LoadOptions& options, const HfTensors<Shape>& tensors);

/// Fills the matrices of some tensors, which have passed that check. Throws std::runtime_error naming the tensor for
/// values that are not finite and scales that do not fit.
void read_tensors(const Checkpoint& checkpoint, const LoadOptions& options, const HfTensors<Matrix>& tensors);

/// Fills a model whose matrices have their shapes (hf_tensors(config, weights)).
/// Numerics: FP8 as `dequantise` says, other types exactly. Copies of the embedding and the head that a checkpoint may
/// hold beside each MTP module must equal the main ones, value for value.
/// Throws ONE std::runtime_error that lists up to 20 of all problems (checkpoint_problems, then values that are not
/// finite, scales and copies that do not fit); the model is complete or must not be used.
void load_weights(const Checkpoint& checkpoint, const LoadOptions& options, const HfTensors<Matrix>& tensors);

/// Writes config.json and model.safetensors into a folder that is there.
/// `stored` is BF16, F32 or F64; b_i is stored in F32 at least, since its updates of 0.001 vanish in BF16.
/// The copies beside the MTP modules are written too, as in the released weights.
void write_model(const std::filesystem::path& folder, const ModelConfig& config, const HfTensors<const Matrix>& tensors,
                 Dtype stored, const TextEnds& ends = {});

/// The same to a new folder (or in place of an old one), complete or not at all.
void save_checkpoint(const std::filesystem::path& folder, const ModelConfig& config,
                     const HfTensors<const Matrix>& tensors, Dtype stored);

}  // namespace dsv3
