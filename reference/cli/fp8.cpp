// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "reference/checkpoint/atomic_file.hpp"
#include "reference/cli/commands.hpp"
#include "reference/cli/progress.hpp"
#include "reference/core/require.hpp"
#include "reference/plot/chart.hpp"
#include "reference/training/fp8_experiment.hpp"
#include "reference/training/run.hpp"

namespace dsv3::cli {
namespace {

namespace fs = std::filesystem;
using Curve = std::vector<double>;

/// The runs of one variant, in the order of the seeds.
struct Runs {
  std::string name, what;
  std::vector<Curve> loss;
};

struct Comparison {
  double mean = 0, least = 0, most = 0;  ///< relative loss error, last half of the steps, over the seeds
};

Comparison compare(const Runs& runs, const Runs& baseline) {
  Comparison c{0, INFINITY, -INFINITY};
  for (std::size_t s = 0; s < runs.loss.size(); ++s) {
    const double error = mean_of_last_half(relative_errors(runs.loss[s], baseline.loss[s]));
    c.mean += error / static_cast<double>(runs.loss.size());
    c.least = std::min(c.least, error), c.most = std::max(c.most, error);
  }
  return c;
}

/// How far the settled losses of two seeds lie apart at most, over the smaller one: what chance alone does.
double spread_of_seeds(const Runs& baseline) {
  Curve settled;
  for (const Curve& loss : baseline.loss) settled.push_back(mean_of_last_half(smoothed(loss)));
  const auto [least, most] = std::minmax_element(settled.begin(), settled.end());
  return *most / *least - 1;
}

std::vector<Fp8Variant> chosen(const std::vector<std::string>& names) {
  if (names.empty()) return {fp8_variants().begin(), fp8_variants().end()};
  std::vector<Fp8Variant> variants;
  for (const std::string& name : names) variants.push_back(fp8_variant_named(name));
  return variants;
}

/// The curves of one seed: loss, and relative error of each variant in percent.
std::string drawing(const std::vector<Runs>& all, double tokens_per_step) {
  plot::LineChart loss{.title = "Loss, smoothed", .x_label = "thousand tokens", .y_label = "", .lines = {}};
  plot::LineChart error{
      .title = "Relative loss error, percent", .x_label = "thousand tokens", .y_label = "", .lines = {}};
  Curve x;
  for (std::size_t t = 1; t <= all[0].loss[0].size(); ++t) x.push_back(static_cast<double>(t) * tokens_per_step / 1000);
  for (const Runs& runs : all) {
    loss.lines.push_back({.name = runs.name, .x = x, .y = smoothed(runs.loss[0])});
    if (&runs == &all[0]) continue;
    Curve percent = relative_errors(runs.loss[0], all[0].loss[0]);
    for (double& e : percent) e *= 100;
    error.lines.push_back({.name = runs.name, .x = x, .y = percent});
  }
  return plot::svg({loss, error});
}

nlohmann::ordered_json as_json(const std::vector<Runs>& all, const RunSettings& settings) {
  nlohmann::ordered_json variants;
  for (const Runs& runs : all) {
    const Comparison c = compare(runs, all[0]);
    variants.push_back({{"name", runs.name},
                        {"what", runs.what},
                        {"relative_error", c.mean},
                        {"least", c.least},
                        {"most", c.most},
                        {"loss", runs.loss}});
  }
  return {{"config", settings.config},
          {"steps", settings.steps},
          {"first_seed", settings.seed},
          {"spread_of_seeds", spread_of_seeds(all[0])},
          {"variants", variants}};
}

void print_table(const std::vector<Runs>& all) {
  fmt::print("relative loss error against BF16 (EMA 0.9), mean of the last half of the steps; least .. most seed\n\n");
  for (std::size_t i = 1; i < all.size(); ++i) {
    const Comparison c = compare(all[i], all[0]);
    fmt::print("  {:<16} {:7.3f}%  ({:.3f} .. {:.3f})  {}\n", all[i].name, 100 * c.mean, 100 * c.least, 100 * c.most,
               all[i].what);
  }
  fmt::print("\n  the report: below 0.25% at about 16B and 230B parameters (appendix B.1)\n");
  if (all[0].loss.size() > 1) fmt::print("  two seeds in BF16 lie {:.3f}% apart\n", 100 * spread_of_seeds(all[0]));
}

}  // namespace

int fp8(const Fp8Arguments& a) {
  require(!a.settings.data.empty(), "fp8", "--data is missing; it needs a text file or a folder of them");
  const std::vector<Fp8Variant> variants = chosen(a.variants);
  const ModelConfig config = config_of(a.settings);
  options_of(a.settings, config);  // what cannot be is refused before any work
  fs::create_directories(a.out);
  AtomicFile(fs::path(a.out) / "fp8.json");
  const RunText text = text_with_new_tokenizer(hold_out(load_documents(a.settings.data)), static_cast<Token>(config.V));

  std::vector<Runs> all{{"bf16", "the baseline", {}}};
  for (const Fp8Variant& variant : variants) all.push_back({variant.name, variant.what, {}});
  Progress progress("steps", std::ssize(all) * a.seeds * a.settings.steps);
  for (std::size_t i = 0; i < all.size(); ++i)
    for (Index s = 0; s < a.seeds; ++s) {
      RunSettings settings = a.settings;
      settings.seed += static_cast<std::uint64_t>(s);
      const Precision precision = i == 0 ? Precision(Precision::bf16) : Precision(variants[i - 1].recipe);
      all[i].loss.push_back(
          loss_curve(settings, config, text, precision, [&](Index, double) { progress.advance(all[i].name); }));
    }
  progress.finish();

  const auto json = as_json(all, a.settings);
  write_file(fs::path(a.out) / "fp8.json", json.dump(1) + "\n");
  write_file(fs::path(a.out) / "fp8.svg",
             drawing(all, static_cast<double>(a.settings.sequences * a.settings.sequence_length)));
  if (a.json) fmt::print("{}\n", json.dump());
  else {
    print_table(all);
    fmt::print("{0}: fp8.json, fp8.svg\n", a.out);
  }
  return 0;
}

}  // namespace dsv3::cli
