// SPDX-License-Identifier: MIT
#include "reference/optim/schedules.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "reference/core/require.hpp"

namespace dsv3 {
namespace {

constexpr Index kBillion = 1'000'000'000;

/// The rate after constant and cosine, `tokens` into the tails.
double tail_rate(const LearningRateSchedule& schedule, Index tokens) {
  double rate = schedule.cosine_end;
  for (const auto& tail : schedule.tails) {
    rate = tail.rate;
    if (tokens < tail.tokens) break;
    tokens -= tail.tokens;
  }
  return rate;
}

double rate_without_warmup(const LearningRateSchedule& schedule, Index tokens) {
  const Index into_cosine = tokens - schedule.constant_until;
  if (into_cosine < 0) return schedule.peak;
  if (into_cosine >= schedule.cosine_tokens) return tail_rate(schedule, into_cosine - schedule.cosine_tokens);
  const double part = static_cast<double>(into_cosine) / static_cast<double>(schedule.cosine_tokens);
  const double end = schedule.cosine_end;
  return end + 0.5 * (schedule.peak - end) * (1 + std::cos(std::numbers::pi * part));
}

}  // namespace

Schedules report_schedules() {
  Schedules s;
  s.total_tokens = 14'800 * kBillion;
  s.learning_rate = {.warmup_steps = 2000,
                     .peak = 2.2e-4,
                     .constant_until = 10'000 * kBillion,
                     .cosine_tokens = 4'300 * kBillion,
                     .cosine_end = 2.2e-5,
                     .tails = {{333 * kBillion, 2.2e-5}, {167 * kBillion, 7.3e-6}}};
  s.batch = {.first = 3072, .full = 15360, .ramp_tokens = 469 * kBillion};
  s.bias_speed = {.before = 0.001, .until = 14'300 * kBillion, .after = 0};
  s.mtp_lambda = {.before = 0.3, .until = 10'000 * kBillion, .after = 0.1};
  return s;
}

Schedules scaled(const Schedules& schedules, const ScaledRun& run) {
  validate(schedules);
  require(std::isfinite(run.peak) && run.peak > 0, "scaled", "peak is ", run.peak, "; it must be finite and > 0");
  require(schedules.learning_rate.peak > 0, "scaled", "the peak to scale from is 0; it must be > 0");
  const double token_ratio = static_cast<double>(run.total_tokens) / static_cast<double>(schedules.total_tokens);
  const double rate_ratio = run.peak / schedules.learning_rate.peak;
  const auto scale = [&](Index& tokens) { tokens = std::llround(static_cast<double>(tokens) * token_ratio); };
  Schedules s = schedules;
  s.total_tokens = run.total_tokens;
  scale(s.learning_rate.constant_until);
  scale(s.learning_rate.cosine_tokens);
  for (auto& tail : s.learning_rate.tails) {
    scale(tail.tokens);
    tail.rate *= rate_ratio;
  }
  s.learning_rate.peak = run.peak;
  s.learning_rate.cosine_end *= rate_ratio;
  s.learning_rate.warmup_steps = run.warmup_steps;
  s.batch.first = run.first_sequences;
  s.batch.full = run.full_sequences;
  scale(s.batch.ramp_tokens);
  scale(s.bias_speed.until);
  scale(s.mtp_lambda.until);
  validate(s);
  return s;
}

void validate(const Schedules& s) {
  const auto needs_tokens = [](Index tokens, const char* name) {
    require(tokens >= 0, "schedules", name, " is ", tokens, " tokens; it must not be negative");
  };
  const auto needs_value = [](double x, const char* name) {
    require(std::isfinite(x) && x >= 0, "schedules", name, " is ", x, "; it must be finite and >= 0");
  };
  require(s.total_tokens >= 1, "schedules", "total_tokens is ", s.total_tokens, "; it must be at least 1");
  require(s.learning_rate.warmup_steps >= 0, "schedules", "warmup_steps is ", s.learning_rate.warmup_steps,
          "; it must not be negative");
  needs_value(s.learning_rate.peak, "learning_rate.peak");
  needs_tokens(s.learning_rate.constant_until, "learning_rate.constant_until");
  needs_tokens(s.learning_rate.cosine_tokens, "learning_rate.cosine_tokens");
  needs_value(s.learning_rate.cosine_end, "learning_rate.cosine_end");
  for (const auto& tail : s.learning_rate.tails) {
    needs_tokens(tail.tokens, "learning_rate.tails.tokens");
    needs_value(tail.rate, "learning_rate.tails.rate");
  }
  require(1 <= s.batch.first && s.batch.first <= s.batch.full, "schedules", "batch goes from ", s.batch.first, " to ",
          s.batch.full, " sequences; it must start at 1 or more and not shrink");
  needs_tokens(s.batch.ramp_tokens, "batch.ramp_tokens");
  for (const auto& [schedule, name] : {std::pair{s.bias_speed, "bias_speed"}, {s.mtp_lambda, "mtp_lambda"}}) {
    needs_value(schedule.before, name);
    needs_tokens(schedule.until, name);
    needs_value(schedule.after, name);
  }
}

double learning_rate(const LearningRateSchedule& schedule, Index t, Index tokens) {
  const double rate = rate_without_warmup(schedule, tokens);
  if (t >= schedule.warmup_steps) return rate;
  return rate * static_cast<double>(t) / static_cast<double>(schedule.warmup_steps);
}

Index sequences(const BatchSchedule& schedule, Index tokens) {
  if (tokens >= schedule.ramp_tokens) return schedule.full;
  const double part = static_cast<double>(tokens) / static_cast<double>(schedule.ramp_tokens);
  return schedule.first + static_cast<Index>(static_cast<double>(schedule.full - schedule.first) * part);
}

double value(const SwitchSchedule& schedule, Index tokens) {
  return tokens < schedule.until ? schedule.before : schedule.after;
}

StepSettings settings(const Schedules& schedules, Index t, Index tokens) {
  require(t >= 1, "settings", "t is ", t, "; the first update is number 1");
  require(tokens >= 0, "settings", "tokens is ", tokens, "; it must not be negative");
  return {learning_rate(schedules.learning_rate, t, tokens), sequences(schedules.batch, tokens),
          value(schedules.bias_speed, tokens), value(schedules.mtp_lambda, tokens)};
}

}  // namespace dsv3
