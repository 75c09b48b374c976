// SPDX-License-Identifier: MIT
/// \file
/// What changes in the course of a training run, as functions of the tokens seen: learning rate, batch size, bias
/// update speed and MTP weight. The report's values are in section 4.2.
#pragma once
#include <vector>

#include "reference/core/real.hpp"

namespace dsv3 {

/// Linear warm-up, constant, cosine, then constant pieces.
///
/// With x the tokens seen before the update, in the order of the fields:
/// peak for x < constant_until; then over cosine_tokens
/// \f$ \eta(x) = \eta_{end} + \frac12 (\eta_{peak} - \eta_{end}) (1 + \cos \pi \frac{x - x_0}{\Delta x}) \f$;
/// then the tails one after the other, the last one for ever (cosine_end if there is none).
/// All of it is multiplied by min(1, t / warmup_steps) for the t-th update, t = 1, 2, ..., so that the 0 of "from 0"
/// is the rate before the first update.
struct LearningRateSchedule {
  struct Tail {
    Index tokens = 0;
    double rate = 0;
    friend bool operator==(const Tail&, const Tail&) = default;
  };
  Index warmup_steps = 0;  ///< 0: none
  double peak = 0;
  Index constant_until = 0;  ///< tokens
  Index cosine_tokens = 0;   ///< tokens; 0: straight to the tails
  double cosine_end = 0;
  std::vector<Tail> tails = {};
  friend bool operator==(const LearningRateSchedule&, const LearningRateSchedule&) = default;
};

/// Sequences per step: from `first` to `full` over `ramp_tokens`, then `full`.
/// Differs from the report: it gives the two ends only; ours is linear in tokens, rounded down.
struct BatchSchedule {
  Index first = 0, full = 0;
  Index ramp_tokens = 0;  ///< 0: `full` from the start
  friend bool operator==(const BatchSchedule&, const BatchSchedule&) = default;
};

/// One value before `until` tokens, another from there on.
struct SwitchSchedule {
  double before = 0;
  Index until = 0;  ///< tokens
  double after = 0;
  friend bool operator==(const SwitchSchedule&, const SwitchSchedule&) = default;
};

struct Schedules {
  Index total_tokens = 0;
  LearningRateSchedule learning_rate;
  BatchSchedule batch;
  SwitchSchedule bias_speed;  ///< gamma of section 2.1.2, added or subtracted once per step
  SwitchSchedule mtp_lambda;  ///< lambda of Eq. (25)
  friend bool operator==(const Schedules&, const Schedules&) = default;
};

/// The values in force for one step.
struct StepSettings {
  double learning_rate = 0;
  Index sequences = 0;
  double bias_speed = 0;
  double mtp_lambda = 0;
};

/// Section 4.2: 14.8T tokens; 2.2e-4 after 2000 steps and until 10T, cosine to 2.2e-5 over 4.3T, 2.2e-5 for 333B,
/// 7.3e-6 for 167B; 3072 to 15360 sequences over 469B; gamma 0.001 for 14.3T, then 0; lambda 0.3 for 10T, then 0.1.
Schedules report_schedules();

/// What a small run sets itself; the shape comes from the schedules that are scaled.
struct ScaledRun {
  Index total_tokens = 0;
  double peak = 0;         ///< the other learning rates keep their ratio to it
  Index warmup_steps = 0;  ///< steps do not scale with tokens
  Index first_sequences = 0, full_sequences = 0;
};

/// The same shape on another number of tokens: every position on the token axis times total/total, rounded to the
/// nearest token; gamma and lambda keep their values.
/// \throws std::invalid_argument as validate does for the result.
Schedules scaled(const Schedules& schedules, const ScaledRun& run);

/// Throws std::invalid_argument naming the first number that cannot be right: negative or non-finite rates, negative
/// token counts, a batch that does not start at 1 or more or that shrinks, a run without tokens.
void validate(const Schedules& schedules);

double learning_rate(const LearningRateSchedule& schedule, Index t, Index tokens);  ///< t = 1 for the first update
Index sequences(const BatchSchedule& schedule, Index tokens);                       ///< first .. full
double value(const SwitchSchedule& schedule, Index tokens);

/// All four for the t-th update (t >= 1) after `tokens` tokens. \throws std::invalid_argument unless t >= 1, tokens >=
/// 0.
StepSettings settings(const Schedules& schedules, Index t, Index tokens);

}  // namespace dsv3
