// SPDX-License-Identifier: MIT
#include "reference/training/options.hpp"

#include <cmath>

#include "reference/core/require.hpp"

namespace dsv3 {

void validate(const TrainingOptions& o) {
  validate(o.config);
  validate(o.schedules);
  require(o.steps >= 1, "train", "steps is ", o.steps, "; it must be at least 1");
  require(o.sequence_length > o.config.D && o.sequence_length <= o.config.mla.rope.max_length, "train",
          "the sequence length is ", o.sequence_length, "; it must be more than the MTP depth ", o.config.D,
          " and at most the model's ", o.config.mla.rope.max_length, " positions");
  require(o.micro_batch >= 1, "train", "the micro-batch is ", o.micro_batch, " sequences; it must be at least 1");
  require(std::isfinite(o.clip_norm) && o.clip_norm > 0, "train", "clip_norm is ", o.clip_norm,
          "; it must be positive");
  require(std::isfinite(o.balance_alpha) && o.balance_alpha >= 0, "train", "balance_alpha is ", o.balance_alpha,
          "; it must be 0 or positive");
}

}  // namespace dsv3
