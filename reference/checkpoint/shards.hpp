// SPDX-License-Identifier: MIT
/// \file
/// A checkpoint's tensors by name, whether they lie in one safetensors file or in many.
#pragma once
#include "reference/checkpoint/safetensors.hpp"

namespace dsv3 {

struct Checkpoint {
  std::filesystem::path folder;
  std::vector<Safetensors> files;
  std::map<std::string, TensorView> tensors;  ///< of all files; read from the disk when touched
};

/// A folder with model.safetensors, or with model.safetensors.index.json, whose weight_map says which file ("shard")
/// of the folder holds which tensor. Opens every file and reads every header.
/// Throws std::runtime_error by name for: neither or both of the two, a missing shard, a shard outside the folder, a
/// tensor that the index names but its shard does not hold, that a shard holds but the index does not name, or that
/// lies in two shards; and whatever open_safetensors throws.
/// The index's "metadata", with its total_size, is not read, as transformers does not: tools that rewrite checkpoints
/// leave old sums there, and every shard's header says, checked against the file, what each tensor's size is.
Checkpoint open_checkpoint(const std::filesystem::path& folder);

/// Throws std::runtime_error naming the tensor if there is none.
const TensorView& tensor(const Checkpoint& checkpoint, const std::string& name);

}  // namespace dsv3
