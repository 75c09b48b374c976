// SPDX-License-Identifier: MIT
/// \file
/// Whether config.json can belong to a checkpoint at all, from the numbers in its tensors' names.
#pragma once
#include "reference/checkpoint/shards.hpp"
#include "reference/model/config.hpp"

namespace dsv3 {

/// How many of the D MTP modules that the config announces have any tensor in the checkpoint, counted from the first.
/// transformers keeps num_nextn_predict_layers but leaves the modules' weights out when it saves.
Index mtp_modules_in(const Checkpoint& checkpoint, const ModelConfig& config);

/// Throws std::runtime_error naming the field where config.json counts otherwise than the checkpoint: more layers or
/// experts than any tensor belongs to, an MTP module (it has eh_proj, enorm, hnorm) among the L layers, a layer that is
/// none behind them. What these mistakes lead to, thousands of missing tensors, need then not be listed.
void require_same_counts(const Checkpoint& checkpoint, const ModelConfig& config);

}  // namespace dsv3
