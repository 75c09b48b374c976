// SPDX-License-Identifier: MIT
#include "reference/checkpoint/hf_survey.hpp"

#include <charconv>
#include <map>

#include "reference/core/require.hpp"

namespace dsv3 {

namespace {
/// What the names of one layer's tensors show.
struct LayerNames {
  bool block = false;  // attention or FFN
  bool mtp = false;    // what only an MTP module has
};

struct Survey {
  std::map<Index, LayerNames> layers;
  Index last_expert = -1;
};

/// Takes `prefix` and the number after it off the front of `name`; -1 where it begins otherwise.
Index take_number(std::string_view& name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return -1;
  const std::string_view rest = name.substr(prefix.size());
  Index number = -1;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (error != std::errc() || number < 0) return -1;
  name.remove_prefix(static_cast<std::size_t>(end - name.data()));
  return number;
}

Survey survey(const Checkpoint& checkpoint) {
  Survey all;
  for (const auto& [full_name, view] : checkpoint.tensors) {
    std::string_view name = full_name;
    const Index layer = take_number(name, "model.layers.");
    if (layer < 0) continue;
    LayerNames& here = all.layers[layer];
    here.block |= name.starts_with(".self_attn.") || name.starts_with(".mlp.");
    here.mtp |= name.starts_with(".eh_proj.") || name.starts_with(".enorm.") || name.starts_with(".hnorm.");
    all.last_expert = std::max(all.last_expert, take_number(name, ".mlp.experts."));
  }
  return all;
}
}  // namespace

Index mtp_modules_in(const Checkpoint& checkpoint, const ModelConfig& config) {
  const Survey all = survey(checkpoint);
  Index found = 0;
  while (found < config.D && all.layers.contains(config.L + found)) ++found;
  return found;
}

void require_same_counts(const Checkpoint& checkpoint, const ModelConfig& config) {
  const Survey all = survey(checkpoint);
  const std::string where = checkpoint.folder.string();
  const Index num_layers = all.layers.empty() ? 0 : all.layers.rbegin()->first + 1;
  require_world(config.L <= num_layers, where, "config.json says num_hidden_layers ", config.L,
                ", but the tensors are of ", num_layers, " layers");
  require_world(config.num_dense_layers == config.L || config.moe.gate.N_r <= all.last_expert + 1, where,
                "config.json says n_routed_experts ", config.moe.gate.N_r, ", but the tensors are of ",
                all.last_expert + 1, " experts");
  for (const auto& [layer, names] : all.layers) {
    require_world(layer >= config.L || !names.mtp, where, "config.json says num_hidden_layers ", config.L,
                  ", but layer ", layer, " is an MTP module (eh_proj, enorm, hnorm)");
    require_world(layer < config.L || names.mtp || !names.block, where, "config.json says num_hidden_layers ", config.L,
                  ", but layer ", layer,
                  " is another one: it has attention or FFN tensors, but no eh_proj, enorm or hnorm of an MTP module");
  }
}

}  // namespace dsv3
