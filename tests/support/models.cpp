// SPDX-License-Identifier: MIT
#include "tests/support/models.hpp"

#include <cmath>

#include "reference/core/random.hpp"

namespace dsv3::test {

ModelConfig micro_config() {
  return {.V = 40,
          .L = 2,
          .num_dense_layers = 1,
          .d_dense = 20,
          .mla = {.d = 12,
                  .n_h = 3,
                  .d_h = 5,
                  .d_v = 4,
                  .d_c = 7,
                  .d_c_prime = 6,
                  .rope = {.width = 4, .max_length = 64, .yarn = YarnConfig{.factor = 4, .original_length = 16}}},
          .moe = {.d = 12,
                  .d_shared = 10,
                  .d_expert = 6,
                  .gate = {.N_r = 16, .K_r = 4, .num_groups = 4, .kept_groups = 2, .routed_scaling_factor = 2.5}},
          .D = 1};
}

ModelWeights<Matrix> random_weights(const ModelConfig& config, std::uint64_t seed) {
  ModelWeights<Matrix> weights = zeros(shapes(config));
  for (const auto& [name, role, value] : tensors_of(weights)) {
    Random random = stream(seed, name);
    const double fan_in = static_cast<double>(value->cols());
    *value = normal_matrix(value->rows(), value->cols(), role == Role::weight ? 1 / std::sqrt(fan_in) : 0.2, random);
    if (role == Role::gain) value->array() += 1;
  }
  return weights;
}

Batch random_batch(const ModelConfig& config, Index count, Index length, std::uint64_t seed) {
  Batch batch{.count = count, .length = length, .tokens = std::vector<Token>(count * (length + 1))};
  Random random(seed);
  for (Token& token : batch.tokens) token = static_cast<Token>(random.below(config.V));
  return batch;
}

}  // namespace dsv3::test
