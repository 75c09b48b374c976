// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "reference/checkpoint/hf_config.hpp"
#include "reference/cli/commands.hpp"
#include "reference/model/weights.hpp"
#include "reference/training/run.hpp"

namespace dsv3::cli {
namespace {

/// 671026419200 -> "671,026,419,200"
std::string grouped(Index number) {
  std::string text = std::to_string(number);
  for (Index at = std::ssize(text) - 3; at > 0; at -= 3) text.insert(static_cast<std::size_t>(at), ",");
  return text;
}

int list_names(bool json) {
  if (json) {
    fmt::print("{}\n", nlohmann::json(config_names()).dump());
    return 0;
  }
  for (const std::string& name : config_names()) {
    const ParameterCounts counts = count_parameters(config_by_name(name));
    fmt::print("{:<8} {:>16} parameters, {:>15} active\n", name, grouped(counts.total), grouped(counts.active));
  }
  return 0;
}

}  // namespace

int model(const ModelArguments& a) {
  if (a.name.empty()) return list_names(a.json);
  const ModelConfig config =
      std::filesystem::is_directory(a.name) ? read_hf_config(a.name).model : config_of({.config = a.name, .data = {}});
  const ParameterCounts counts = count_parameters(config);
  const Index cache = cache_bytes_per_token(config);
  if (a.json) {
    const nlohmann::ordered_json json = {{"name", a.name},          {"total", counts.total},
                                         {"active", counts.active}, {"embedding", counts.embedding},
                                         {"mtp", counts.mtp},       {"cache_bytes_per_token", cache}};
    fmt::print("{}\n", json.dump());
    return 0;
  }
  fmt::print("{}: {} layers of width {}, {} of {} routed experts per token\n", a.name, config.L, config.d(),
             config.moe.gate.K_r, config.moe.gate.N_r);
  fmt::print("  {:>16}  parameters (embedding and head included, MTP modules not)\n", grouped(counts.total));
  fmt::print("  {:>16}  active per token (head included, embedding look-up not)\n", grouped(counts.active));
  fmt::print("  {:>16}  in the embedding, and as many in the head\n", grouped(counts.embedding));
  fmt::print("  {:>16}  in the MTP modules, without the embedding and head they share\n", grouped(counts.mtp));
  fmt::print("  {:>16}  bytes of BF16 latent cache per token\n", grouped(cache));
  return 0;
}

}  // namespace dsv3::cli
