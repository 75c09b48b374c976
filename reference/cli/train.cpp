// SPDX-License-Identifier: MIT
#include "reference/training/run.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "reference/cli/commands.hpp"
#include "reference/cli/program.hpp"
#include "reference/cli/progress.hpp"
#include "reference/core/require.hpp"
#include "reference/linear/fp8_products.hpp"

namespace dsv3::cli {
namespace {

/// "loss 3.214  mtp 4.010  norm 0.82  MaxVio 0.61  5120 tok/s"
std::string step_note(const StepReport& r, const StepExtras& extras) {
  std::string note = fmt::format("loss {:.3f}", r.loss.main_loss());
  if (!r.loss.mtp_sum.empty()) note += fmt::format("  mtp {:.3f}", r.loss.mtp_loss(0));
  return note + fmt::format("  norm {:.2f}  MaxVio {:.2f}  {:.0f} tok/s", r.gradient_norm, mean_max_vio(r.loss.load),
                            static_cast<double>(r.loss.tokens) / extras.seconds);
}

/// The settings of the run that goes on; refuses options that say something else.
RunSettings kept_settings(const TrainArguments& a) {
  require_run(a.out);
  RunSettings kept = read_settings(std::filesystem::path(a.out) / "run.json");
  require_same(kept, a.settings, a.given, "train");
  return kept;
}

std::string saved_text(Index step) {
  return step == 0 ? " before the first step" : fmt::format(" and saved after step {}", step);
}

std::string memory_text(const MemoryReport& m) {
  const auto mega = [](std::size_t bytes) { return static_cast<double>(bytes) / 1e6; };
  return fmt::format(
      "{:.1f} MB at most; predicted {:.1f} MB (weights {:.1f}, gradients {:.1f}, moments {:.1f}, activations {:.1f}, "
      "temporary {:.1f}, threads {:.1f})",
      mega(m.measured), mega(m.predicted()), mega(m.weights), mega(m.gradients), mega(m.moments), mega(m.activations),
      mega(m.temporary), mega(m.threads));
}

}  // namespace

int train(const TrainArguments& a) {
  require(a.resume || !a.settings.data.empty(), "train", "--data is missing; it needs a text file or a folder of them");
  const RunSettings settings = a.resume ? kept_settings(a) : a.settings;
  std::optional<Progress> progress;
  RunEvents events;
  events.note = [&](const std::string& what) {
    if (a.json) return;
    fmt::print("{}\n", what);
    std::fflush(stdout);
  };
  if (const Fp8Products* const products = products_of(settings.device))
    events.note("products in FP8: " + products->name() + "; everything else: this CPU");
  const Interrupt interrupt;  // the step at hand is finished and saved
  events.stop = Interrupt::asked;
  events.step = [&](const StepReport& report, const StepExtras& extras) {
    if (a.json) {
      fmt::print("{}\n", log_line(report, extras));
      std::fflush(stdout);
      return;
    }
    if (!progress) progress.emplace("training", settings.steps);
    progress->show(report.step, step_note(report, extras));
  };
  const RunResult run = a.resume ? resume_run(a.out, events) : start_run(a.settings, a.out, events);
  progress.reset();
  if (run.state.step < run.options.steps) {
    fmt::print(stderr, "stopped{}; go on with: {} train --resume --out {}\n", saved_text(run.state.step),
               program_name(), a.out);
    return Interrupt::status;
  }
  if (a.json) return 0;
  if (run.first_step == run.options.steps) {
    fmt::print("{} is complete: {} steps, held-out loss {:.4f}\n", a.out, run.first_step, run.loss_after);
    return 0;
  }
  fmt::print("held-out loss {:.4f} before, {:.4f} after {} steps\n", run.loss_before, run.loss_after,
             run.state.step - run.first_step);
  fmt::print("memory: {}\n", memory_text(run.memory));
  fmt::print("{0}: checkpoints, log.jsonl, curves.svg; try: {1} generate --model {0} --prompt 'The'\n", a.out,
             program_name());
  return 0;
}

}  // namespace dsv3::cli
