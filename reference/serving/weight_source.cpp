// SPDX-License-Identifier: MIT
#include "reference/serving/weight_source.hpp"

namespace dsv3 {
namespace {

/// A pointer that does not own: the weights outlive the source.
template <class T>
std::shared_ptr<const T> borrowed(const T& value) {
  return {std::shared_ptr<void>(), &value};
}

}  // namespace

WeightSource source_of(const ModelWeights<Matrix>& w) {
  const auto num_blocks = static_cast<Index>(w.blocks.size());
  return {.embed = [&w](std::span<const Token> tokens) { return embed(w.embedding, tokens); },
          .block = [&w](Index layer) { return borrowed(w.blocks[layer]); },
          .expert = [&w, num_blocks](Index layer, Index expert) -> const SwigluWeights<Matrix>& {
            const MoeWeights<Matrix>& ffn =
                layer < num_blocks ? w.blocks[layer].ffn : w.mtp[layer - num_blocks].block.ffn;
            return ffn.experts[expert];
          },
          .norm_final = [&w] { return w.norm_final; },
          .head_rows = [&w](Index first, Index count) { return Matrix(w.head.middleRows(first, count)); },
          .mtp = [&w](Index k) { return borrowed(w.mtp[k - 1]); }};
}

}  // namespace dsv3
