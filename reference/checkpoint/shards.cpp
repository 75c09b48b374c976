// SPDX-License-Identifier: MIT
#include "reference/checkpoint/shards.hpp"

#include <nlohmann/json.hpp>

#include "reference/checkpoint/strict_json.hpp"
#include "reference/core/require.hpp"

namespace dsv3 {

namespace fs = std::filesystem;

namespace {
using WeightMap = std::map<std::string, std::string>;  // tensor -> shard

WeightMap read_index(const fs::path& path) {
  const MappedFile file(path);
  const std::string where = path.string();
  const nlohmann::json index = parse_strict_json(file.text(), where);
  require_world(index.is_object() && index.contains("weight_map") && index["weight_map"].is_object(), where,
                "an object \"weight_map\" of tensor and file names is needed");
  WeightMap shard_of_tensor;
  for (const auto& [name, shard] : index["weight_map"].items()) {
    require_world(shard.is_string(), where, "the file of ", in_quotes(name), " is not a string");
    const auto file_name = shard.get<std::string>();
    require_world(!file_name.empty() && file_name != "." && file_name != ".." &&
                      file_name.find('/') == std::string::npos && file_name.find('\0') == std::string::npos,
                  where, in_quotes(name), " is said to be in ", in_quotes(file_name),
                  "; a file of the same folder is needed");
    shard_of_tensor[name] = file_name;
  }
  return shard_of_tensor;
}

/// Opens one file and takes over its tensors; throws if another file had one of them.
void add_file(Checkpoint& checkpoint, const fs::path& path) {
  checkpoint.files.push_back(open_safetensors(path));
  for (const auto& [name, view] : checkpoint.files.back().contents.tensors) {
    const auto [there, is_new] = checkpoint.tensors.emplace(name, view);
    require_world(is_new, view.where, "is also in another file (", there->second.where, ")");
  }
}

void add_shards(Checkpoint& checkpoint, const fs::path& index) {
  const WeightMap shard_of_tensor = read_index(index);
  std::map<std::string, std::vector<std::string>> tensors_of_shard;
  for (const auto& [name, shard] : shard_of_tensor) tensors_of_shard[shard].push_back(name);
  for (const auto& [shard, names] : tensors_of_shard) {
    const fs::path path = checkpoint.folder / shard;
    require_world(fs::exists(path), index.string(), "the shard ", in_quotes(shard), " is missing");
    add_file(checkpoint, path);
    const auto& there = checkpoint.files.back().contents.tensors;
    for (const std::string& name : names)
      require_world(there.contains(name), path.string(), "does not hold ", in_quotes(name),
                    ", which the index puts there");
  }
  for (const auto& [name, view] : checkpoint.tensors)
    require_world(shard_of_tensor.contains(name), view.where, "is not in the index ", index.string());
}
}  // namespace

Checkpoint open_checkpoint(const fs::path& folder) {
  const fs::path single = folder / "model.safetensors", index = folder / "model.safetensors.index.json";
  const bool has_single = fs::exists(single), has_index = fs::exists(index);
  require_world(has_single || has_index, folder.string(),
                "holds neither model.safetensors nor model.safetensors.index.json");
  require_world(!(has_single && has_index), folder.string(),
                "holds both model.safetensors and model.safetensors.index.json; remove the one that is not meant");
  Checkpoint checkpoint{folder, {}, {}};
  if (has_single) add_file(checkpoint, single);
  else add_shards(checkpoint, index);
  return checkpoint;
}

const TensorView& tensor(const Checkpoint& checkpoint, const std::string& name) {
  const auto found = checkpoint.tensors.find(name);
  require_world(found != checkpoint.tensors.end(), checkpoint.folder.string(), "no tensor ", in_quotes(name));
  return found->second;
}

}  // namespace dsv3
