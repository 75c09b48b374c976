// SPDX-License-Identifier: MIT
/// \file
/// The golden checkpoints of tests/golden/hf, and this project's values under the names their tensors have there.
#pragma once
#include <array>
#include <cmath>
#include <map>

#include "reference/checkpoint/hf_checkpoint.hpp"
#include "reference/checkpoint/hf_layout.hpp"
#include "reference/core/random.hpp"
#include "reference/core/require.hpp"
#include "reference/serving/inference.hpp"
#include "tests/support/compare.hpp"

namespace dsv3::test {

inline const std::vector<std::string> golden_names = {"v3_yarn", "v3_plain", "v3_bf16", "v3_fp8", "v3_mtp", "v2"};

inline std::filesystem::path golden_path(const std::string& name) {
  return std::filesystem::path(DSV3_SOURCE_DIR) / "tests/golden/hf" / name;
}

/// What transformers computed.
struct Golden {
  explicit Golden(const std::string& name) : file(open_safetensors(golden_path(name) / "golden.safetensors")) {}

  const TensorView& view(const std::string& name) const {
    const auto found = file.contents.tensors.find(name);
    require_world(found != file.contents.tensors.end(), "golden file", "has no tensor ", name);
    return found->second;
  }
  /// Floating point or whole numbers, as `real`.
  Matrix matrix(const std::string& name) const {
    const TensorView& v = view(name);
    if (v.dtype != Dtype::i64) return to_matrix(v);
    const std::vector<std::int64_t> values = to_integers(v);
    const Shape shape = matrix_shape(v);
    Matrix m(shape.rows, shape.cols);
    for (Index i = 0; i < m.size(); ++i) m.data()[i] = static_cast<real>(values[i]);
    return m;
  }
  std::vector<Token> tokens(Index prompt) const {
    const std::vector<std::int64_t> values = to_integers(view(concat("prompt.", prompt, ".tokens")));
    return {values.begin(), values.end()};
  }
  Index prompts() const { return file.contents.tensors.contains("prompt.1.tokens") ? 2 : 1; }

  Safetensors file;
};

/// A whole model in memory.
struct LoadedModel {
  ModelConfig config;
  ModelWeights<Matrix> weights;
};

inline LoadedModel load_golden(const std::string& name) {
  const HfConfig hf = read_hf_config(golden_path(name));
  LoadedModel model{hf.model, zeros(shapes(hf.model))};
  load_weights(open_checkpoint(golden_path(name)), hf.load, hf_tensors(model.config, model.weights));
  return model;
}

using Values = std::map<std::string, Matrix>;

/// Everything the tap shows of one prompt, "logits" and "mtp_logits".
inline Values values_of_prompt(const ModelConfig& config, const WeightSource& source, std::span<const Token> tokens,
                               AttentionForm form = AttentionForm::naive) {
  Values seen;
  const Inference inference(config, source, Precision::fp32,
                            [&](const std::string& name, const Matrix& value) { seen[name] = value; });
  seen["embedding"] = source.embed(tokens);
  SequenceState state = inference.start();
  const Matrix h = inference.extend(state, tokens, form);
  seen["logits"] = inference.logits(h);
  const std::vector<Matrix> mtp = config.mtp_reads_normed ? inference.mtp_logits(h, tokens) : std::vector<Matrix>();
  for (std::size_t k = 0; k < mtp.size(); ++k) seen[concat("mtp_logits.", k + 1)] = mtp[k];
  return seen;
}

/// The FFN's output: what layer `layer` added to the residual stream after its attention.
inline Matrix ffn_output(const Values& ours, Index layer) {
  const Matrix& x = layer == 0 ? ours.at("embedding") : ours.at(concat("layers.", layer - 1, ".out"));
  const std::string at = concat("layers.", layer, ".");
  return ours.at(at + "out") - x - ours.at(at + "u");
}

/// Our value for a golden name without "prompt.P.". Throws for a name it does not know: nothing is left out silently.
inline Matrix our_value(const Values& ours, const ModelConfig& config, const std::string& name) {
  static const std::map<std::string, std::string> of_layer = {{"attention", "u"},
                                                              {"out", "out"},
                                                              {"gate.logits", "router_logits"},
                                                              {"gate.experts", "topk_experts"},
                                                              {"gate.weights", "topk_weights"},
                                                              {"gate.margin", "selection_margin"}};
  if (name == "logits") return ours.at("logits");
  if (name == "norm") return ours.at("norm_final.out");
  if (name == "mtp.logits") return ours.at("mtp_logits.1");
  if (name.starts_with("mtp.")) return ours.at(concat("layers.", config.L, ".", of_layer.at(name.substr(4))));
  const std::size_t dot = name.find('.', 7);  // "layers.I.what"
  require(name.starts_with("layers.") && dot != name.npos, "golden file", "unknown tensor ", name);
  const Index layer = std::stol(name.substr(7, dot - 7));
  const std::string what = name.substr(dot + 1);
  if (what == "ffn") return ffn_output(ours, layer);
  return ours.at(concat("layers.", layer, ".", of_layer.at(what)));
}

/// Every tensor of one prompt against ours: experts equal, other values within `part` of the tensor's largest.
struct PromptCheck {
  std::string differences;  ///< one line each
  Index compared = 0;       ///< tensors
};

inline PromptCheck check_prompt(const Golden& golden, Index prompt, const ModelConfig& config, const Values& ours,
                                double part) {
  PromptCheck check;
  const std::string prefix = concat("prompt.", prompt, ".");
  for (const auto& [full_name, view] : golden.file.contents.tensors) {
    if (!full_name.starts_with(prefix) || full_name == prefix + "tokens") continue;
    const std::string name = full_name.substr(prefix.size());
    const Matrix expected = golden.matrix(full_name);
    Matrix value = our_value(ours, config, name);
    if (name.ends_with("margin")) value.transposeInPlace();  // [T] in the file
    // A margin is a difference of scores of size 1.
    const double size = name.ends_with("margin") ? 1 : max_abs(expected);
    const double bound = view.dtype == Dtype::i64 ? 0 : part * size;
    const std::string bad = outside(expected, value, bound);
    if (!bad.empty()) check.differences += full_name + " " + bad + "\n";
    ++check.compared;
  }
  return check;
}

/// How far logits of this model computed in FP32 may be from the exact ones, from the model itself.
///
/// An inner product of n terms in FP32, in whatever order, is the exact one of weights that are each changed by a
/// relative amount of about sqrt(n) u, u = 2^-24 (at most n u; roundings are independent enough for the root). So a
/// whole model in FP32 is an exact model with weights changed like that, and its logits are off by what such a change
/// moves them. The move is measured with random changes of 1e-5, small enough that no expert is chosen otherwise, and
/// scaled down.
inline double fp32_bound(const LoadedModel& model, std::span<const Token> tokens) {
  constexpr double change = 1e-5, u = 0x1p-24;
  const auto logits = [&](const ModelWeights<Matrix>& w) {
    return values_of_prompt(model.config, source_of(w), tokens).at("logits");
  };
  const Matrix at = logits(model.weights);
  double move = 0;
  Index longest = 0;
  for (std::uint64_t seed : {1, 2, 3}) {
    LoadedModel moved = model;
    Random random(seed);
    for (const NamedTensor& t : tensors_of(moved.weights)) {
      longest = std::max(longest, t.value->cols());
      for (Index i = 0; i < t.value->size(); ++i)
        t.value->data()[i] *= static_cast<real>(1 + (random.uniform() < 0.5 ? -change : change));
    }
    move = std::max(move, max_abs(logits(moved.weights) - at));
  }
  return move / change * std::sqrt(static_cast<double>(longest)) * u;
}

/// Orders of summation differ between implementations. Every tensor on the way was seen to agree within 4e-6 of its
/// largest value; each of the well-known mistakes moves the logits by a tenth or more.
inline constexpr double agreement = 1e-5;

/// Checks every tensor of every prompt; the logits also against `evaluations` times fp32_bound, the number of FP32
/// computations between the two sides.
inline void check_golden(const std::string& name, int evaluations) {
  const Golden golden(name);
  const LoadedModel model = load_golden(name);
  for (Index prompt = 0; prompt < golden.prompts(); ++prompt) {
    CAPTURE(prompt);
    const std::vector<Token> tokens = golden.tokens(prompt);
    const Values ours = values_of_prompt(model.config, source_of(model.weights), tokens);
    const PromptCheck check = check_prompt(golden, prompt, model.config, ours, agreement);
    CHECK(check.differences == "");
    // out, attention and FFN of each layer, four tensors of each gate, norm, logits, and what an MTP module adds
    CHECK(check.compared == 3 * model.config.L + 4 * (model.config.L - 1) + 2 + 5 * model.config.D);
    const Matrix logits = golden.matrix(concat("prompt.", prompt, ".logits"));
    CHECK(outside(logits, ours.at("logits"), evaluations * fp32_bound(model, tokens)) == "");
  }
}

/// The three numbers of a gradient: Frobenius norm, sum, sum_j g_j cos(j) in row-major order.
inline std::array<double, 3> fingerprint(const Matrix& g) {
  double squares = 0, sum = 0, wave = 0;
  for (Index j = 0; j < g.size(); ++j) {
    const double g_j = g.data()[j];
    squares += g_j * g_j, sum += g_j, wave += g_j * std::cos(static_cast<double>(j));
  }
  return {std::sqrt(squares), sum, wave};
}

/// Prompt 0 as a batch of one sequence: every token but the last is read, every one but the first predicted.
inline Batch batch_of(const std::vector<Token>& tokens) {
  return {.count = 1, .length = std::ssize(tokens) - 1, .tokens = tokens};
}

/// Gradients of the golden loss, all of which must be there, against ours. A gradient that is off by `part` of its norm
/// in a random direction moves the two sums by about as much: the sums of n terms e_j are near |e|, and 5 |e| is far.
inline std::string gradient_differences(const Golden& golden, const LoadedModel& model, double part) {
  const Batch batch = batch_of(golden.tokens(0));
  ModelWeights<Matrix> grads = zeros(shapes(model.config));
  const Model trained(model.config);
  const Objective mean{.weight = 1 / static_cast<double>(batch.length), .lambda = 0, .balance = {}};
  const double loss = trained.loss_and_gradients(model.weights, grads, batch, mean).main_loss();
  std::string differences;
  const double expected_loss = double{golden.matrix("loss")(0, 0)};
  if (!(std::abs(loss - expected_loss) <= part * expected_loss)) differences += concat("loss ", loss, "\n");
  for (const auto& t : hf_tensors(model.config, grads)) {
    if (t.is_fp32) continue;  // b_i has no gradient
    const auto ours = fingerprint(t.second ? join_heads(*t.first, *t.second, t.heads) : *t.first);
    const Matrix theirs = golden.matrix("gradient." + t.name);
    for (Index i = 0; i < 3; ++i)
      if (!(std::abs(ours[static_cast<std::size_t>(i)] - theirs(0, i)) <= (i == 0 ? 1 : 5) * part * theirs(0, 0)))
        differences += concat(t.name, " ", i, ": ", ours[static_cast<std::size_t>(i)], " and ", theirs(0, i), "\n");
  }
  return differences;
}

}  // namespace dsv3::test
