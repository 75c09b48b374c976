// SPDX-License-Identifier: MIT
/// \file
/// Small training runs and their comparison.
#pragma once
#include <omp.h>

#include "reference/core/random.hpp"
#include "reference/training/step.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/models.hpp"

namespace dsv3::test {

/// Six sequences of eight tokens a step on the micro model, five steps, both switches of the schedules inside.
inline TrainingOptions micro_options() {
  TrainingOptions o;
  o.config = micro_config();
  o.config.init_std = 0.2;
  o.steps = 5;
  o.sequence_length = 8;
  o.micro_batch = 2;
  o.schedules =
      scaled(report_schedules(),
             {.total_tokens = 5 * 6 * 8, .peak = 0.01, .warmup_steps = 2, .first_sequences = 6, .full_sequences = 6});
  o.schedules.bias_speed.before = 0.02;
  return o;
}

/// Sequence number i is random text of its own stream.
inline BatchSource random_text(const TrainingOptions& o) {
  return [V = o.config.V, T = o.sequence_length](Index first, Index count) {
    Batch batch{.count = count, .length = T, .tokens = {}};
    for (Index i = first; i < first + count; ++i) {
      Random random = stream(5, static_cast<std::uint64_t>(i));
      for (Index t = 0; t <= T; ++t) batch.tokens.push_back(static_cast<Token>(random.below(V)));
    }
    return batch;
  };
}

/// The first tensor or number that differs in any bit; empty if none does.
inline std::string different(TrainingState a, TrainingState b) {
  const auto x = tensors_of(a.weights), y = tensors_of(b.weights);
  if (x.size() != y.size() || a.optimizer.tensors.size() != b.optimizer.tensors.size()) return "number of tensors";
  for (std::size_t i = 0; i < x.size(); ++i)
    if (const std::string at = different(*x[i].value, *y[i].value); !at.empty()) return x[i].name + " " + at;
  for (std::size_t i = 0; i < a.optimizer.tensors.size(); ++i) {
    const TensorMoments &m = a.optimizer.tensors[i], &n = b.optimizer.tensors[i];
    if (m.name != n.name || m.shape != n.shape || m.m != n.m || m.v != n.v) return "moments of " + m.name;
  }
  if (a.amaxes != b.amaxes) return "histories of amaxes";
  if (a.step != b.step || a.sequences != b.sequences || a.optimizer.step != b.optimizer.step) return "counters";
  return {};
}

struct Trained {
  TrainingState state;
  std::vector<StepReport> reports;
};

inline Trained train(const TrainingOptions& o, Index steps, const BatchSource& batches) {
  Trained run{initial_state(o), {}};
  Trainer trainer(o);
  for (Index i = 0; i < steps; ++i) run.reports.push_back(trainer.step(run.state, batches));
  return run;
}
inline Trained train(const TrainingOptions& o, Index steps) { return train(o, steps, random_text(o)); }

/// Sets the number of threads for its lifetime.
class Threads {
 public:
  explicit Threads(int count) : before_(omp_get_max_threads()) { omp_set_num_threads(count); }
  ~Threads() { omp_set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

}  // namespace dsv3::test
