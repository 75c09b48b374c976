// SPDX-License-Identifier: MIT
#include "reference/training/run_folder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "reference/checkpoint/atomic_file.hpp"
#include "reference/checkpoint/hf_checkpoint.hpp"
#include "reference/checkpoint/safetensors_writer.hpp"
#include "reference/core/require.hpp"

namespace dsv3 {
namespace {

namespace fs = std::filesystem;

/// use("m.NAME" or "v.NAME", tensor, moment) for every moment of the optimizer.
template <class State, class Use>
void each_moment(State& optimizer, const Use& use) {
  for (auto& t : optimizer.tensors) {
    use("m." + t.name, t, t.m);
    use("v." + t.name, t, t.v);
  }
}

void write_moments(const fs::path& path, const AdamWState& optimizer) {
  std::vector<TensorToWrite> tensors;
  each_moment(optimizer, [&](const std::string& name, const TensorMoments& t, const Moment& moment) {
    const bool is_bf16 = std::holds_alternative<std::vector<std::uint16_t>>(moment);
    const Dtype dtype = is_bf16 ? Dtype::bf16 : sizeof(real) == 8 ? Dtype::f64 : Dtype::f32;
    tensors.push_back(
        made_tensor(name, dtype, {t.shape.rows, t.shape.cols}, [&t, &moment] { return values_of(moment, t.shape); }));
  });
  write_safetensors(path, tensors, {{"format", "dsv3 AdamW moments"}});
}

void read_moments(const fs::path& path, AdamWState& optimizer) {
  const Safetensors file = open_safetensors(path);
  each_moment(optimizer, [&](const std::string& name, const TensorMoments& t, Moment& moment) {
    const auto found = file.contents.tensors.find(name);
    require_world(found != file.contents.tensors.end(), path.string(), "has no tensor ", name);
    const Matrix values = to_matrix(found->second);
    require_world(shape_of(values) == t.shape, found->second.where, "is ", shape_text(values), "; ", text(t.shape),
                  " is needed");
    moment =
        moment_of(values, std::holds_alternative<std::vector<real>>(moment) ? MomentFormat::fp32 : MomentFormat::bf16);
  });
}

/// The numbers of complete checkpoints, ascending.
std::vector<std::pair<Index, fs::path>> checkpoints_of(const fs::path& out) {
  std::vector<std::pair<Index, fs::path>> found;
  if (!fs::is_directory(out / "checkpoints")) return found;
  for (const auto& entry : fs::directory_iterator(out / "checkpoints")) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("step_") && name.size() > 5 &&
        std::all_of(name.begin() + 5, name.end(), [](char c) { return c >= '0' && c <= '9'; }))
      found.emplace_back(std::stoll(name.substr(5)), entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

void save_training_state(const fs::path& out, const TrainingOptions& options, const TrainingState& state,
                         std::uint64_t fingerprint) {
  fs::create_directories(out / "checkpoints");
  AtomicDirectory folder(out / "checkpoints" / fmt::format("step_{:06}", state.step));
  write_model(folder.folder(), options.config, hf_tensors(options.config, state.weights),
              sizeof(real) == 8 ? Dtype::f64 : Dtype::f32);
  fs::copy_file(out / "tokenizer.json", folder.folder() / "tokenizer.json");
  write_moments(folder.folder() / "optimizer.safetensors", state.optimizer);
  const nlohmann::ordered_json json = {{"step", state.step}, {"sequences", state.sequences}, {"text", fingerprint}};
  write_file(folder.folder() / "state.json", json.dump() + "\n");
  folder.commit();
  const auto all = checkpoints_of(out);
  for (std::size_t i = 0; i + 2 < all.size(); ++i) fs::remove_all(all[i].second);
}

std::optional<fs::path> newest_checkpoint(const fs::path& out) {
  const auto all = checkpoints_of(out);
  if (all.empty()) return std::nullopt;
  return all.back().second;
}

TrainingState load_training_state(const fs::path& checkpoint, const TrainingOptions& options,
                                  std::uint64_t fingerprint) {
  const HfConfig config = read_hf_config(checkpoint);
  require_world(config.model == options.config, checkpoint.string(),
                "holds another configuration than the run's settings say");
  TrainingState state{.weights = zeros(shapes(options.config)), .optimizer = {}};
  load_weights(open_checkpoint(checkpoint), config.load, hf_tensors(options.config, state.weights));
  state.optimizer = adamw_state(tensors_of(state.weights), options.adamw.moments);
  read_moments(checkpoint / "optimizer.safetensors", state.optimizer);

  const fs::path path = checkpoint / "state.json";
  std::ifstream in(path);
  require_world(in.good(), path.string(), "cannot be read");
  std::uint64_t text = 0;
  try {
    const nlohmann::json json = nlohmann::json::parse(in);
    json.at("step").get_to(state.step);
    json.at("sequences").get_to(state.sequences);
    json.at("text").get_to(text);
  } catch (const nlohmann::json::exception& error) {
    throw std::runtime_error(concat(path.string(), ": is not the state of a run: ", error.what()));
  }
  require_world(text == fingerprint, path.string(),
                "the training text or tokenizer is not the one the run began with; a resumed run needs the same");
  state.optimizer.step = state.step;
  return state;
}

}  // namespace dsv3
