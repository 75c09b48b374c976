// SPDX-License-Identifier: MIT
#include "reference/serving/streamed_weights.hpp"

#include "reference/checkpoint/hf_checkpoint.hpp"
#include "reference/checkpoint/hf_survey.hpp"
#include "reference/checkpoint/strict_json.hpp"
#include "reference/core/require.hpp"

namespace dsv3 {
namespace {

/// The checkpoint, its configuration and the shapes of all weights; what the functions of the source share.
struct Opened {
  HfConfig config;
  Checkpoint checkpoint;
  ModelWeights<Shape> shapes;
  SwigluWeights<Matrix> expert;  ///< the last one asked for

  const ModelConfig& model() const { return config.model; }
  bool is_mtp(Index layer) const { return layer >= model().L; }
  const BlockWeights<Shape>& block_shapes(Index layer) const {
    return is_mtp(layer) ? shapes.mtp[layer - model().L].block : shapes.blocks[layer];
  }
  void read(const HfNames<Matrix>& names) const { read_tensors(checkpoint, config.load, names.all); }
};

/// Zero matrices of the block's shapes, the routed experts left out.
BlockWeights<Matrix> without_experts(BlockWeights<Shape> shapes) {
  shapes.ffn.experts.clear();
  return zeros(shapes);
}

std::shared_ptr<const BlockWeights<Matrix>> read_block(const Opened& model, Index layer) {
  const auto block = std::make_shared<BlockWeights<Matrix>>(without_experts(model.block_shapes(layer)));
  HfNames<Matrix> names;
  names.block(hf_layer(layer), model.model().mla, model.model().ffn(layer), *block);
  model.read(names);
  return block;
}

const SwigluWeights<Matrix>& read_expert(Opened& model, Index layer, Index expert) {
  model.expert = zeros(model.block_shapes(layer).ffn.experts[expert]);
  HfNames<Matrix> names;
  names.swiglu(concat(hf_layer(layer), "mlp.experts.", expert, "."), model.expert);
  model.read(names);
  return model.expert;
}

std::shared_ptr<const MtpWeights<Matrix>> read_mtp(const Opened& model, Index k) {
  MtpWeights<Shape> shapes = model.shapes.mtp[k - 1];
  shapes.block.ffn.experts.clear();
  const auto module = std::make_shared<MtpWeights<Matrix>>(zeros(shapes));
  HfNames<Matrix> names;
  names.mtp(hf_layer(model.model().L + k - 1), model.model(), *module);
  model.read(names);
  return module;
}

Matrix read_rows(const Opened& model, const char* name, Index first, Index count) {
  Matrix rows = to_matrix(rows_of(tensor(model.checkpoint, name), first, count));
  require_finite(rows, in_quotes(name), first);
  return rows;
}

Matrix read_embeddings(const Opened& model, std::span<const Token> tokens) {
  Matrix rows(static_cast<Index>(tokens.size()), model.model().d());
  for (Index i = 0; i < rows.rows(); ++i) {
    require(tokens[i] >= 0 && tokens[i] < model.model().V, "embed", "token ", i, " is ", tokens[i],
            "; the vocabulary is 0 to ", model.model().V - 1);
    rows.row(i) = read_rows(model, hf_embedding, tokens[i], 1);
  }
  return rows;
}

RmsNormWeights<Matrix> read_final_norm(const Opened& model) {
  RmsNormWeights<Matrix> norm = zeros(model.shapes.norm_final);
  HfNames<Matrix> names;
  names.vector(hf_final_norm, norm.g);
  model.read(names);
  return norm;
}

}  // namespace

StreamedModel open_streamed(const std::filesystem::path& folder) {
  const auto model = std::make_shared<Opened>(
      Opened{.config = read_hf_config(folder), .checkpoint = open_checkpoint(folder), .shapes = {}, .expert = {}});
  const Index announced = model->config.model.D;
  model->config.model.D = mtp_modules_in(model->checkpoint, model->config.model);
  require_same_counts(model->checkpoint, model->config.model);
  model->shapes = shapes(model->config.model);
  require_no_problems(model->checkpoint, model->config.load, hf_tensors(model->config.model, model->shapes));
  return {
      .config = model->config,
      .absent_mtp = announced - model->config.model.D,
      .source = {.embed = [model](std::span<const Token> tokens) { return read_embeddings(*model, tokens); },
                 .block = [model](Index layer) { return read_block(*model, layer); },
                 .expert = [model](Index layer, Index expert) -> const SwigluWeights<Matrix>& {
                   return read_expert(*model, layer, expert);
                 },
                 .norm_final = [model] { return read_final_norm(*model); },
                 .head_rows = [model](Index first, Index count) { return read_rows(*model, hf_head, first, count); },
                 .mtp = [model](Index k) { return read_mtp(*model, k); }}};
}

}  // namespace dsv3
