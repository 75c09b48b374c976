// SPDX-License-Identifier: MIT
#include "reference/training/run_folder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "reference/checkpoint/atomic_file.hpp"
#include "reference/checkpoint/hf_checkpoint.hpp"
#include "reference/checkpoint/json_fields.hpp"
#include "reference/checkpoint/safetensors_writer.hpp"
#include "reference/checkpoint/strict_json.hpp"
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

/// use("x.NAME", "W.NAME" or "dy.NAME", history) for every operand of every Linear.
template <class Amaxes, class Use>
void each_history(Amaxes& amaxes, const Use& use) {
  for (auto& linear : amaxes)
    for (std::size_t i = 0; i < linear.of.size(); ++i)
      use(std::array{"x.", "W.", "dy."}[i] + linear.weight, linear.of[i]);
}

constexpr Dtype real_dtype = sizeof(real) == 8 ? Dtype::f64 : Dtype::f32;

bool is_bf16(const Moment& moment) { return std::holds_alternative<std::vector<std::uint16_t>>(moment); }
Dtype stored_dtype(const Moment& moment) { return is_bf16(moment) ? Dtype::bf16 : real_dtype; }

void write_moments(const fs::path& path, const AdamWState& optimizer) {
  std::vector<TensorToWrite> tensors;
  each_moment(optimizer, [&](const std::string& name, const TensorMoments& t, const Moment& moment) {
    tensors.push_back(made_tensor(name, stored_dtype(moment), {t.shape.rows, t.shape.cols},
                                  [&t, &moment] { return values_of(moment, t.shape); }));
  });
  write_safetensors(path, tensors, {{"format", "dsv3 AdamW moments"}});
}

void read_moments(const fs::path& path, AdamWState& optimizer) {
  const Safetensors file = open_safetensors(path);
  each_moment(optimizer, [&](const std::string& name, const TensorMoments& t, Moment& moment) {
    const auto found = file.contents.tensors.find(name);
    require_world(found != file.contents.tensors.end(), path.string(), "has no tensor ", name);
    require_world(found->second.dtype == stored_dtype(moment), found->second.where, "is ",
                  dsv3::name(found->second.dtype), "; ", dsv3::name(stored_dtype(moment)), " is needed");
    const Matrix values = to_matrix(found->second);
    require_world(shape_of(values) == t.shape, found->second.where, "is ", shape_text(values), "; ", text(t.shape),
                  " is needed");
    require_world(values.allFinite(), found->second.where, "holds values that are not finite");
    moment = moment_of(values, is_bf16(moment) ? MomentFormat::bf16 : MomentFormat::fp32);
  });
}

/// Of each history a row: its amaxes, oldest first, and its factor.
void write_amaxes(const fs::path& path, const std::vector<LinearAmaxes>& amaxes) {
  std::vector<TensorToWrite> tensors;
  each_history(amaxes, [&](const std::string& name, const AmaxHistory& history) {
    std::vector<float> row = history.amaxes();
    row.push_back(history.factor());
    const Index n = std::ssize(row);
    tensors.push_back(made_tensor(name, Dtype::f32, {1, n}, [row = std::move(row), n] {
      return Matrix(Eigen::Map<const FloatMatrix>(row.data(), 1, n).cast<real>());
    }));
  });
  write_safetensors(path, tensors, {{"format", "dsv3 amax histories"}});
}

void read_amaxes(const fs::path& path, std::vector<LinearAmaxes>& amaxes) {
  const Safetensors file = open_safetensors(path);
  each_history(amaxes, [&](const std::string& name, AmaxHistory& history) {
    const auto found = file.contents.tensors.find(name);
    require_world(found != file.contents.tensors.end(), path.string(), "has no tensor ", name);
    const Matrix values = to_matrix(found->second);
    const Index length = std::ssize(history.amaxes());
    require_world(shape_of(values) == Shape{1, length + 1}, found->second.where, "is ", shape_text(values), "; [1, ",
                  length + 1, "] is needed");
    require_world(values.minCoeff() >= 0 && values(0, length) > 0 && std::isfinite(values(0, length)),
                  found->second.where, "holds values that no history has");
    const FloatMatrix row = values.cast<float>();
    history.restore({row.data(), row.data() + length}, row(0, length));
  });
}

/// N of "step_N", if that is all of the name.
std::optional<Index> step_of(const std::string& name) {
  Index step = 0;
  const char* const end = name.data() + name.size();
  if (!name.starts_with("step_") || name.size() == 5 || name[5] == '-') return std::nullopt;
  const auto [stop, error] = std::from_chars(name.data() + 5, end, step);
  return error == std::errc() && stop == end ? std::optional(step) : std::nullopt;
}

/// The numbers of complete checkpoints, ascending.
std::vector<std::pair<Index, fs::path>> checkpoints_of(const fs::path& out) {
  std::vector<std::pair<Index, fs::path>> found;
  if (!fs::is_directory(out / "checkpoints")) return found;
  for (const auto& entry : fs::directory_iterator(out / "checkpoints")) {
    const std::string name = entry.path().filename().string();
    if (const std::optional<Index> step = step_of(name); step && entry.is_directory())
      found.emplace_back(*step, entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// Those before the last two, and what saves that were killed have left behind.
void remove_old_checkpoints(const fs::path& out) {
  const auto all = checkpoints_of(out);
  for (std::size_t i = 0; i + 2 < all.size(); ++i) {  // first it loses its name: half deleted, it is no checkpoint
    fs::path unnamed = all[i].second;
    fs::rename(all[i].second, unnamed += ".tmp-0-0");
  }
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::directory_iterator(out / "checkpoints"))
    if (is_temporary(entry.path())) leftovers.push_back(entry.path());
  for (const fs::path& path : leftovers) fs::remove_all(path);
}

/// state.json: sets the counters of `state` and returns the text's fingerprint.
std::uint64_t read_counters(const fs::path& path, TrainingState& state) {
  const MappedFile file(path);
  const nlohmann::json json = parse_strict_json(file.text(), path.string());
  JsonFields fields(json, path.string());
  constexpr Index most = Index{1} << 53;
  state.step = state.optimizer.step = fields.integer("step", 0, most);
  state.sequences = fields.integer("sequences", 0, most);
  const std::uint64_t fingerprint = fields.natural("text");
  fields.refuse_others({});
  return fingerprint;
}

}  // namespace

void save_training_state(const fs::path& out, const TrainingOptions& options, const TrainingState& state,
                         std::uint64_t fingerprint, const TextEnds& ends) {
  fs::create_directories(out / "checkpoints");
  AtomicDirectory folder(out / "checkpoints" / fmt::format("step_{:06}", state.step));
  write_model(folder.folder(), options.config, hf_tensors(options.config, state.weights), real_dtype, ends);
  fs::copy_file(out / "tokenizer.json", folder.folder() / "tokenizer.json");
  write_moments(folder.folder() / "optimizer.safetensors", state.optimizer);
  if (!state.amaxes.empty()) write_amaxes(folder.folder() / "amax.safetensors", state.amaxes);
  const nlohmann::ordered_json json = {{"step", state.step}, {"sequences", state.sequences}, {"text", fingerprint}};
  write_file(folder.folder() / "state.json", json.dump() + "\n");
  folder.commit();
  remove_old_checkpoints(out);
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
  TrainingState state{.weights = zeros(shapes(options.config)), .optimizer = {}, .amaxes = {}};
  load_weights(open_checkpoint(checkpoint), config.load, hf_tensors(options.config, state.weights));
  state.optimizer = adamw_state(tensors_of(state.weights), options.adamw.moments);
  read_moments(checkpoint / "optimizer.safetensors", state.optimizer);
  state.amaxes = empty_amaxes(tensors_of(state.weights), options.precision.recipe);
  if (!state.amaxes.empty()) read_amaxes(checkpoint / "amax.safetensors", state.amaxes);

  const fs::path path = checkpoint / "state.json";
  require_world(read_counters(path, state) == fingerprint, path.string(),
                "the training text or tokenizer is not the one the run began with; a resumed run needs the same");
  return state;
}

}  // namespace dsv3
