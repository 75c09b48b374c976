// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <deque>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "reference/checkpoint/atomic_file.hpp"
#include "reference/checkpoint/safetensors_writer.hpp"
#include "reference/cli/commands.hpp"
#include "reference/cli/model_folder.hpp"
#include "reference/cli/progress.hpp"
#include "reference/core/require.hpp"
#include "reference/linear/fp8_products.hpp"
#include "reference/serving/inference.hpp"

namespace dsv3::cli {
namespace {

Safetensors open_tokens(const std::string& path) {
  try {
    return open_safetensors(path);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(
        concat(error.what(), "; a safetensors file with a tensor 'tokens' of integers [T] is needed"));
  }
}

std::vector<Token> read_tokens(const std::string& path, Index V) {
  const Safetensors file = open_tokens(path);
  const auto found = file.contents.tensors.find("tokens");
  require_world(found != file.contents.tensors.end(), path, "has no tensor 'tokens'; one of integers [T] is needed");
  require_world(found->second.shape.size() == 1, path, "'tokens' is ", shape_text(found->second.shape),
                "; [T] is needed");
  const std::vector<std::int64_t> values = to_integers(found->second);
  require_world(!values.empty(), path, "'tokens' is empty; at least one token is needed");
  std::vector<Token> tokens;
  for (const std::int64_t value : values) {
    require_world(value >= 0 && value < V, path, "'tokens' holds ", value, "; the model's vocabulary is 0 to ", V - 1);
    tokens.push_back(static_cast<Token>(value));
  }
  return tokens;
}

Precision precision_of(const std::string& name) {
  require(name == "fp32" || name == "bf16" || name == "fp8", "forward", "precision is '", name,
          "'; it must be fp32, bf16 or fp8");
  return name == "bf16" ? Precision::bf16 : name == "fp8" ? Precision::fp8 : Precision::fp32;
}

/// Throws if writing `out` would replace what was read.
void require_no_input(const std::filesystem::path& out, const std::string& tokens, const std::filesystem::path& model) {
  namespace fs = std::filesystem;
  if (!fs::exists(out)) return;
  require_world(!fs::equivalent(out, tokens), out.string(), "is the file of tokens; give --out another name");
  for (const auto& file : fs::directory_iterator(model))
    require_world(!fs::equivalent(out, file), out.string(), "is a file of the model; give --out another name");
}

}  // namespace

int forward(const ForwardArguments& a) {
  const Precision precision = on_device(precision_of(a.precision), a.device);
  const StreamedModel model = open_model_folder(model_folder(a.model));
  const std::vector<Token> tokens = read_tokens(a.tokens, model.config.model.V);

  require_no_input(a.out, a.tokens, model_folder(a.model));
  AtomicFile(a.out);  // a place that cannot be written to is found before the work

  std::deque<Matrix> values;  // keeps its elements where they are
  std::vector<TensorToWrite> tensors;
  const auto keep = [&](const std::string& name, const Matrix& value) {
    values.push_back(value);
    tensors.push_back(matrix_tensor(name, Dtype::f32, values.back()));
  };
  Progress progress("layers", model.config.model.L);
  const Tap tap = [&](const std::string& name, const Matrix& value) {
    if (name.ends_with(".out") && name.starts_with("layers.")) progress.advance();
    if (a.activations) keep(name, value);
  };
  const Inference inference(model.config.model, model.source, precision, tap);
  SequenceState state = inference.start();
  const Matrix h = inference.extend(state, tokens, AttentionForm::naive);
  keep("logits", inference.logits(h));
  if (tokens.size() > static_cast<std::size_t>(model.config.model.D)) {
    const std::vector<Matrix> mtp = inference.mtp_logits(h, tokens);
    for (std::size_t k = 0; k < mtp.size(); ++k) keep(k == 0 ? "mtp_logits" : concat("mtp_logits.", k + 1), mtp[k]);
  }
  progress.finish();
  write_safetensors(a.out, tensors, {{"model", a.model}, {"precision", a.precision}});

  if (a.json) {
    nlohmann::ordered_json summary = {
        {"out", a.out}, {"device", a.device}, {"tokens", tokens.size()}, {"tensors", nlohmann::ordered_json::object()}};
    for (const TensorToWrite& t : tensors) summary["tensors"][t.name] = t.shape;
    fmt::print("{}\n", summary.dump());
  } else {
    fmt::print("{}: {} tensors for {} tokens, logits [{}, {}]\n", a.out, tensors.size(), tokens.size(), h.rows(),
               model.config.model.V);
    if (const Fp8Products* const products = precision.recipe.products)
      fmt::print("products in FP8: {}; everything else: this CPU\n", products->name());
  }
  return 0;
}

}  // namespace dsv3::cli
