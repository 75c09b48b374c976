// SPDX-License-Identifier: MIT
#include "reference/checkpoint/hf_checkpoint.hpp"

#include <algorithm>
#include <set>

#include "reference/checkpoint/atomic_file.hpp"
#include "reference/checkpoint/hf_layout.hpp"
#include "reference/checkpoint/safetensors_writer.hpp"
#include "reference/checkpoint/strict_json.hpp"
#include "reference/core/require.hpp"
#include "reference/rope/rope.hpp"

namespace dsv3 {

namespace {
using Problems = std::vector<std::string>;

[[noreturn]] void throw_problems(const Checkpoint& checkpoint, const Problems& problems) {
  constexpr std::size_t shown = 20;
  std::string text =
      concat(checkpoint.folder.string(), ": ", problems.size(), problems.size() == 1 ? " problem:" : " problems:");
  for (std::size_t i = 0; i < std::min(shown, problems.size()); ++i) text += "\n  " + problems[i];
  if (problems.size() > shown) text += concat("\n  ... and ", problems.size() - shown, " more");
  throw std::runtime_error(text);
}

/// The dimensions in the checkpoint.
template <class Tensor>
std::vector<Index> stored_shape(const HfTensor<Tensor>& t) {
  const Shape a = shape_of(*t.first);
  if (t.is_vector) return {a.cols};
  return {a.rows + (t.second != nullptr ? shape_of(*t.second).rows : 0), a.cols};
}

/// Empty, or what is wrong with a tensor that is there, as far as its header says.
std::string header_problem(const Checkpoint& checkpoint, const LoadOptions& options, const std::string& name,
                           const TensorView& view, const std::vector<Index>& needed) {
  if (view.shape != needed)
    return concat(in_quotes(name), " has shape ", shape_text(view.shape), "; ", shape_text(needed), " is needed");
  if (view.dtype == Dtype::f8_e4m3) return scale_problem(checkpoint, name, options.fp8_block);
  if (!is_plain_float(view.dtype)) return concat(in_quotes(name), " is ", dsv3::name(view.dtype), ", no weight's type");
  return {};
}

/// Tensors that the model has no place for, and scales without an E4M3 weight.
void find_unmapped(const Checkpoint& checkpoint, const std::set<std::string>& mapped, Problems& problems) {
  for (const auto& [name, view] : checkpoint.tensors) {
    if (mapped.contains(name)) continue;
    const auto weight = checkpoint.tensors.find(weight_of_scale(name));
    if (weight == checkpoint.tensors.end()) problems.push_back(in_quotes(name) + " is not mapped to any weight");
    else if (weight->second.dtype != Dtype::f8_e4m3)
      problems.push_back(concat(in_quotes(name), " is a scale, but its weight is ", dsv3::name(weight->second.dtype)));
  }
}

void require_copy(const HfTensor<Matrix>& t, const Matrix& copy) {
  require_world(copy.cwiseEqual(*t.first).all(), in_quotes(t.name), "differs from ", in_quotes(t.original),
                "; a copy is needed, the model shares the weight");
}

void load_tensor(const Checkpoint& checkpoint, const LoadOptions& options, const HfTensor<Matrix>& t) {
  Matrix stored = read_weight(checkpoint, t.name, options.fp8_block);
  require_finite(stored, in_quotes(t.name));
  if (!t.original.empty()) return require_copy(t, stored);
  if (t.second == nullptr) {
    *t.first = std::move(stored);
    return;
  }
  split_heads(stored, t.heads, *t.first, *t.second);
  if (t.rope_width > 0 && !options.rope_interleave)
    *t.second = reorder_rows(*t.second, t.rope_width, RopeLayout::half, RopeLayout::interleaved);
}

TensorToWrite tensor_to_write(const HfTensor<const Matrix>& t, Dtype stored) {
  const Dtype dtype = t.is_fp32 && stored == Dtype::bf16 ? Dtype::f32 : stored;
  if (t.second == nullptr) return matrix_tensor(t.name, dtype, *t.first, stored_shape(t));
  return made_tensor(t.name, dtype, stored_shape(t), [t] { return join_heads(*t.first, *t.second, t.heads); });
}
}  // namespace

Problems checkpoint_problems(const Checkpoint& checkpoint, const LoadOptions& options,
                             const HfTensors<Shape>& tensors) {
  Problems problems;
  std::set<std::string> mapped;
  for (const HfTensor<Shape>& t : tensors) {
    mapped.insert(t.name);
    const auto found = checkpoint.tensors.find(t.name);
    std::string problem;
    if (found != checkpoint.tensors.end())
      problem = header_problem(checkpoint, options, t.name, found->second, stored_shape(t));
    else if (t.original.empty()) problem = in_quotes(t.name) + " is missing";
    if (!problem.empty()) problems.push_back(problem);
  }
  find_unmapped(checkpoint, mapped, problems);
  return problems;
}

void require_no_problems(const Checkpoint& checkpoint, const LoadOptions& options, const HfTensors<Shape>& tensors) {
  const Problems problems = checkpoint_problems(checkpoint, options, tensors);
  if (!problems.empty()) throw_problems(checkpoint, problems);
}

void read_tensors(const Checkpoint& checkpoint, const LoadOptions& options, const HfTensors<Matrix>& tensors) {
  for (const HfTensor<Matrix>& t : tensors) load_tensor(checkpoint, options, t);
}

void load_weights(const Checkpoint& checkpoint, const LoadOptions& options, const HfTensors<Matrix>& tensors) {
  std::vector<std::pair<Shape, Shape>> shapes(tensors.size());
  HfTensors<Shape> as_shapes;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const HfTensor<Matrix>& t = tensors[i];
    shapes[i] = {shape_of(*t.first), t.second != nullptr ? shape_of(*t.second) : Shape{}};
    as_shapes.push_back({t.name, &shapes[i].first, t.second != nullptr ? &shapes[i].second : nullptr, t.heads,
                         t.rope_width, t.is_vector, t.is_fp32, t.original});
  }
  require_no_problems(checkpoint, options, as_shapes);
  Problems problems;
  for (const HfTensor<Matrix>& t : tensors) try {
      if (t.original.empty() || checkpoint.tensors.contains(t.name)) load_tensor(checkpoint, options, t);
    } catch (const std::runtime_error& error) {
      problems.emplace_back(error.what());
    }
  if (!problems.empty()) throw_problems(checkpoint, problems);
}

void write_model(const std::filesystem::path& folder, const ModelConfig& config, const HfTensors<const Matrix>& tensors,
                 Dtype stored, const TextEnds& ends) {
  std::vector<TensorToWrite> all;
  for (const auto& t : tensors) all.push_back(tensor_to_write(t, stored));
  write_file(folder / "config.json", hf_config_text(config, stored, ends));
  write_safetensors(folder / "model.safetensors", all, {{"format", "pt"}});
}

void save_checkpoint(const std::filesystem::path& folder, const ModelConfig& config,
                     const HfTensors<const Matrix>& tensors, Dtype stored) {
  AtomicDirectory directory(folder);
  write_model(directory.folder(), config, tensors, stored);
  directory.commit();
}

}  // namespace dsv3
