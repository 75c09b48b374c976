// SPDX-License-Identifier: MIT
/// \file
/// Small models on which every mechanism can go wrong.
#pragma once
#include "reference/model/model.hpp"

namespace dsv3::test {

/// 1 dense and 1 MoE layer, 16 experts in 4 groups of which 2 are kept, top-4, YaRN on, value width of its own.
ModelConfig micro_config();

/// Weights that keep every signal of size 1, gains that are not 1, biases of both signs large enough to change choices.
ModelWeights<Matrix> random_weights(const ModelConfig& config, std::uint64_t seed);

Batch random_batch(const ModelConfig& config, Index count, Index length, std::uint64_t seed);

}  // namespace dsv3::test
