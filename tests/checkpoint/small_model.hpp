// SPDX-License-Identifier: MIT
/// \file
/// A small model with random weights, to be saved and loaded.
#pragma once
#include "reference/model/weights.hpp"
#include "tests/support/compare.hpp"

namespace dsv3::test {

/// Two layers, one of them dense, one MTP module; every width another one, so that a swap shows in a shape.
inline ModelConfig small_config(bool compressed_queries = true) {
  ModelConfig c;
  c.V = 11;
  c.L = 2;
  c.num_dense_layers = 1;
  c.d_dense = 13;
  c.mla = {10, 2, 3, 5, 7, compressed_queries ? 6 : 0, {4, 10000, 64, {}}, 1e-6};
  c.moe = {10, 9, 9, {16, 4, 4, 2, Scoring::sigmoid, GroupScore::top2_sum, true, true, 2.5}};
  c.D = 1;
  return c;
}

/// N(0, 1) everywhere, gains and biases included.
inline ModelWeights<Matrix> random_model(const ModelConfig& c) {
  ModelWeights<Matrix> weights = zeros(shapes(c));
  std::uint64_t seed = 0;
  for (const NamedTensor& t : tensors_of(weights)) *t.value = probe(t.value->rows(), t.value->cols(), ++seed);
  return weights;
}

}  // namespace dsv3::test
