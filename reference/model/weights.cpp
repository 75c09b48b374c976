// SPDX-License-Identifier: MIT
#include "reference/model/weights.hpp"

#include "reference/core/random.hpp"
#include "reference/core/threads.hpp"

namespace dsv3 {
namespace {

BlockWeights<Shape> block_shapes(const ModelConfig& c, const MoeConfig& ffn) {
  const RmsNormWeights<Shape> norm{.g = {1, c.d()}};
  return {.norm_attention = norm, .mla = mla_shapes(c.mla), .norm_ffn = norm, .ffn = moe_shapes(ffn)};
}

}  // namespace

ModelWeights<Shape> shapes(const ModelConfig& c) {
  validate(c);
  const RmsNormWeights<Shape> norm{.g = {1, c.d()}};
  ModelWeights<Shape> all{.embedding = {c.V, c.d()}, .blocks = {}, .norm_final = norm, .head = {c.V, c.d()}, .mtp = {}};
  for (Index layer = 0; layer < c.L; ++layer) all.blocks.push_back(block_shapes(c, c.ffn(layer)));
  for (Index k = 0; k < c.D; ++k)
    all.mtp.push_back({.norm_hidden = norm,
                       .norm_embedding = norm,
                       .M = {c.d(), 2 * c.d()},
                       .block = block_shapes(c, c.moe),
                       .norm_out = norm});
  return all;
}

ModelWeights<Matrix> initial_weights(const ModelConfig& config, std::uint64_t seed) {
  ModelWeights<Matrix> weights = zeros(shapes(config));
  const std::vector<NamedTensor> tensors = tensors_of(weights);
  parallel_for(static_cast<Index>(tensors.size()), [&](Index i) {
    const auto& [name, role, value] = tensors[i];
    Random random = stream(seed, name);
    if (role == Role::weight) *value = normal_matrix(value->rows(), value->cols(), config.init_std, random);
    if (role == Role::gain) value->setOnes();
  });
  return weights;
}

ParameterCounts count_parameters(const ModelConfig& config) {
  ModelWeights<Shape> all = shapes(config);
  ParameterCounts counts{.embedding = size(all.embedding)};
  for (const auto& module : all.mtp) counts.mtp += count(module);
  counts.total = count(all) - counts.mtp;
  counts.active = counts.total - counts.embedding;
  for (const auto& block : all.blocks)
    for (std::size_t i = config.moe.gate.K_r; i < block.ffn.experts.size(); ++i)
      counts.active -= count(block.ffn.experts[i]);
  return counts;
}

Index cache_bytes_per_token(const ModelConfig& config, Index bytes_per_value) {
  Index values = 0;
  for (const auto& block : shapes(config).blocks) values += block.mla.W_DKV.rows + block.mla.W_KR.rows;  // c_KV and k_R
  return values * bytes_per_value;
}

}  // namespace dsv3
