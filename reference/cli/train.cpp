// SPDX-License-Identifier: MIT
#include "reference/training/run.hpp"

#include <fmt/format.h>

#include <csignal>
#include <cstdio>

#include "reference/cli/commands.hpp"
#include "reference/cli/progress.hpp"
#include "reference/core/require.hpp"

namespace dsv3::cli {
namespace {

volatile std::sig_atomic_t interrupted = 0;  // by Ctrl-C: the step is finished and saved

/// "loss 3.214  mtp 4.010  norm 0.82  MaxVio 0.61  5120 tok/s"
std::string step_note(const StepReport& r, const StepExtras& extras) {
  std::string note = fmt::format("loss {:.3f}", r.loss.main_loss());
  if (!r.loss.mtp_sum.empty()) note += fmt::format("  mtp {:.3f}", r.loss.mtp_loss(0));
  return note + fmt::format("  norm {:.2f}  MaxVio {:.2f}  {:.0f} tok/s", r.gradient_norm, mean_max_vio(r.loss.load),
                            static_cast<double>(r.loss.tokens) / extras.seconds);
}

std::string memory_text(const MemoryReport& m) {
  const auto mega = [](std::size_t bytes) { return static_cast<double>(bytes) / 1e6; };
  return fmt::format(
      "{:.1f} MB at most; predicted {:.1f} MB (weights {:.1f}, gradients {:.1f}, moments {:.1f}, activations {:.1f}, "
      "temporary {:.1f})",
      mega(m.measured), mega(m.predicted()), mega(m.weights), mega(m.gradients), mega(m.moments), mega(m.activations),
      mega(m.temporary));
}

}  // namespace

int train(const TrainArguments& a) {
  require(a.resume || !a.settings.data.empty(), "train", "--data is missing; it needs a text file or a folder of them");
  std::optional<Progress> progress;
  const Index steps = a.resume ? 0 : a.settings.steps;
  RunEvents events;
  events.note = [&](const std::string& what) {
    if (a.json) return;
    fmt::print("{}\n", what);
    std::fflush(stdout);
  };
  std::signal(SIGINT, [](int) { interrupted = 1; });
  events.stop = [] { return interrupted != 0; };
  events.step = [&](const StepReport& report, const StepExtras& extras) {
    if (a.json) {
      fmt::print("{}\n", log_line(report, extras));
      std::fflush(stdout);
      return;
    }
    if (!progress) progress.emplace("training", steps > 0 ? steps : read_settings(a.out + "/run.json").steps);
    progress->show(report.step, step_note(report, extras));
  };
  const RunResult run = a.resume ? resume_run(a.out, events) : start_run(a.settings, a.out, events);
  progress.reset();
  if (run.state.step < run.options.steps) {
    fmt::print(stderr, "stopped and saved after step {}; go on with: dsv3 train --resume --out {}\n", run.state.step,
               a.out);
    return 128 + SIGINT;
  }
  if (a.json) return 0;
  if (run.first_step == run.options.steps) {
    fmt::print("{} is complete: {} steps, held-out loss {:.4f}\n", a.out, run.first_step, run.loss_after);
    return 0;
  }
  fmt::print("held-out loss {:.4f} before, {:.4f} after {} steps\n", run.loss_before, run.loss_after,
             run.state.step - run.first_step);
  fmt::print("memory: {}\n", memory_text(run.memory));
  fmt::print("{0}: checkpoints, log.jsonl, curves.svg; try: dsv3 generate --model {0} --prompt 'The'\n", a.out);
  return 0;
}

}  // namespace dsv3::cli
