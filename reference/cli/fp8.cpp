// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "reference/cli/commands.hpp"
#include "reference/cli/fp8_results.hpp"
#include "reference/cli/program.hpp"
#include "reference/cli/progress.hpp"
#include "reference/core/require.hpp"
#include "reference/training/run.hpp"

namespace dsv3::cli {
namespace {

namespace fs = std::filesystem;

/// A run that is still to be done: the number of its variant in Fp8Results::runs, and its seed.
struct Open {
  std::size_t variant;
  std::uint64_t seed;
};

Precision precision_of(const std::string& run) {
  if (run == "bf16") return Precision::bf16;
  return run == "fp32" ? Precision(Precision::fp32) : Precision(fp8_variant_named(run).recipe);
}

void require_variant(const std::string& name, const Fp8Results& results) {
  std::string names;
  for (const Fp8Runs& runs : results.runs) {
    if (&runs == &results.baseline()) continue;
    if (runs.name == name) return;
    names += (names.empty() ? "" : ", ") + runs.name;
  }
  throw std::invalid_argument(concat("fp8: there is no variant '", name, "'; it must be one of ", names));
}

/// All variants of one seed before the next: what an interrupted experiment has finished can be compared.
std::vector<Open> open_runs(const Fp8Results& results, const Fp8Arguments& a) {
  for (const std::string& name : a.variants) require_variant(name, results);
  std::vector<Open> open;
  for (std::uint64_t seed = a.settings.seed; seed < a.settings.seed + static_cast<std::uint64_t>(a.seeds); ++seed)
    for (std::size_t i = 0; i < results.runs.size(); ++i) {
      const bool asked = i == 0 || a.variants.empty() ||
                         std::find(a.variants.begin(), a.variants.end(), results.runs[i].name) != a.variants.end();
      if (asked && !results.runs[i].loss.contains(seed)) open.push_back({i, seed});
    }
  return open;
}

/// What OUT holds, or nothing yet; with the settings of the runs.
Fp8Results begin(const Fp8Arguments& a) {
  if (!a.resume) return {.settings = with_absolute_paths(a.settings), .runs = no_runs()};
  Fp8Results kept = load_results(a.out);
  std::set<std::string> given = a.given;
  given.erase("--seed");  // names the runs of this call, not the experiment
  require_same(kept.settings, a.settings, given, "fp8");
  return kept;
}

/// The text of the settings, which must be the one that earlier runs have read.
RunText text_of(Fp8Results& results, const ModelConfig& config, const Fp8Arguments& a) {
  const std::string& data = results.settings.data;
  RunText text = text_with_new_tokenizer(hold_out(load_documents(data)), static_cast<Token>(config.V));
  require_world(!a.resume || text.fingerprint() == results.text, data, "is not the text that the runs in ", a.out,
                " have read; start without --resume");
  results.text = text.fingerprint();
  return text;
}

/// Trains what is open and saves after each run; false where Ctrl-C ended it.
bool train_all(Fp8Results& results, const std::vector<Open>& open, const ModelConfig& config, const RunText& text,
               const fs::path& out) {
  const Interrupt interrupt;
  Progress progress("steps", std::ssize(open) * results.settings.steps);
  for (const Open& run : open) {
    Fp8Runs& runs = results.runs[run.variant];
    RunSettings settings = results.settings;
    settings.seed = run.seed;
    Curve loss = loss_curve(settings, config, text, precision_of(runs.name), [&](Index, double) {
      progress.advance(fmt::format("{}, seed {}", runs.name, run.seed));
      return !Interrupt::asked();
    });
    if (std::ssize(loss) == settings.steps) {
      runs.loss[run.seed] = std::move(loss);
      save_results(out, results);
    }
    if (Interrupt::asked()) return &run == &open.back() && runs.loss.contains(run.seed);
  }
  return true;
}

void print_table(const Fp8Results& results) {
  const Fp8Runs& bf16 = results.baseline();
  const LossFall fall = loss_fall(bf16);
  fmt::print("loss in BF16: {:.3f} at first, {:.3f} at last ({:.0f}%); mean of {} seed{}\n", fall.first, fall.last,
             100 * fall.last / fall.first, bf16.loss.size(), bf16.loss.size() == 1 ? "" : "s");
  fmt::print("relative loss error against BF16 (EMA 0.9), mean of the last half of the steps; least .. most seed\n\n");
  for (const Fp8Runs& runs : results.runs) {
    const Fp8Comparison c = compare(runs, bf16);
    if (&runs == &bf16 || c.seeds == 0) continue;
    const std::string error =
        c.broken > 0 ? fmt::format("broke off in {} of {} seeds, not finite", c.broken, c.seeds)
                     : fmt::format("{:7.3f}%  ({:.3f} .. {:.3f})", 100 * c.mean, 100 * c.least, 100 * c.most);
    fmt::print("  {:<16} {}  {}\n", runs.name, error, runs.what);
  }
  fmt::print("\n  the report: below 0.25% at about 16B and 230B parameters (appendix B.1)\n");
  if (const double apart = spread_of_seeds(bf16); std::isfinite(apart))
    fmt::print("  two seeds in BF16, measured alike: {:.3f}%\n", 100 * apart);
}

}  // namespace

int fp8(const Fp8Arguments& a) {
  require(a.resume || !a.settings.data.empty(), "fp8", "--data is missing; it needs a text file or a folder of them");
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  require(a.settings.seed <= most - static_cast<std::uint64_t>(a.seeds), "fp8", "--seed is ", a.settings.seed,
          "; the last of ", a.seeds, " seeds must be below ", most);
  const RunLock lock(a.out);
  Fp8Results results = begin(a);
  const std::vector<Open> open = open_runs(results, a);
  const RunSettings& settings = results.settings;
  const ModelConfig config = config_of(settings);
  require_memory(settings, config, options_of(settings, config).adamw.moments, "fp8");  // refused before any work
  if (!open.empty() && !train_all(results, open, config, text_of(results, config, a), a.out)) {
    const std::size_t left = open_runs(results, a).size();
    fmt::print(
        stderr, "stopped; {} of {} runs are finished{}\n", open.size() - left, open.size(),
        results.baseline().loss.empty() ? "" : " and kept in " + a.out + "; the same command with --resume goes on");
    return Interrupt::status;
  }
  if (open.empty()) save_results(a.out, results);  // the picture anew
  if (a.json) {
    fmt::print("{}\n", results_json(results, -1));
    return 0;
  }
  print_table(results);
  fmt::print("{0}: fp8.json, fp8.svg\n", a.out);
  return 0;
}

}  // namespace dsv3::cli
