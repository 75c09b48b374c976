// SPDX-License-Identifier: MIT
/// \file
/// Everything a training run is made of, as plain data that a run folder keeps.
#pragma once
#include <string>

#include "reference/core/context.hpp"
#include "reference/model/config.hpp"
#include "reference/optim/adamw.hpp"
#include "reference/optim/schedules.hpp"

namespace dsv3 {

/// What decides the numbers of a run: two runs with equal options on equal data end in equal bits.
struct TrainingOptions {
  ModelConfig config;
  Schedules schedules;
  Index steps = 0;              ///< of the whole run
  Index sequence_length = 128;  ///< T
  Index micro_batch = 4;        ///< sequences whose activations are in memory at once
  Precision precision = Precision::fp32;
  AdamWConfig adamw;
  double clip_norm = 1;         ///< section 4.2
  double balance_alpha = 1e-4;  ///< alpha of Eq. (17), section 4.2; 0: no balance loss
  BalanceScope balance_scope = BalanceScope::sequence;
  std::uint64_t seed = 1;
};

/// Throws std::invalid_argument naming the first option that cannot be right.
void validate(const TrainingOptions& options);

}  // namespace dsv3
