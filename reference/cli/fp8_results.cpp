// SPDX-License-Identifier: MIT
#include "reference/cli/fp8_results.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "reference/checkpoint/atomic_file.hpp"
#include "reference/checkpoint/mapped_file.hpp"
#include "reference/core/require.hpp"

namespace dsv3::cli {
namespace {

namespace fs = std::filesystem;

/// A curve that breaks off holds null from there on.
Curve curve_of(const nlohmann::json& losses) {
  Curve curve;
  for (const nlohmann::json& loss : losses) curve.push_back(loss.is_null() ? NAN : loss.get<double>());
  return curve;
}

void read_runs(Fp8Runs& runs, const nlohmann::json& variant, Index steps) {
  for (std::size_t i = 0; i < variant.at("seeds").size(); ++i) {
    Curve& curve = runs.loss[variant["seeds"][i].get<std::uint64_t>()] = curve_of(variant.at("loss").at(i));
    if (std::ssize(curve) != steps) throw std::invalid_argument("a curve of another length");
  }
}

}  // namespace

std::vector<Fp8Runs> no_runs() {
  std::vector<Fp8Runs> all{{"bf16", "the baseline", {}}, {"fp32", "FP32 throughout: what BF16's rounding does", {}}};
  for (const Fp8Variant& variant : fp8_variants()) all.push_back({variant.name, variant.what, {}});
  return all;
}

Fp8Comparison compare(const Fp8Runs& runs, const Fp8Runs& baseline) {
  Fp8Comparison c{0, INFINITY, -INFINITY};
  for (const auto& [seed, loss] : runs.loss) {
    if (!baseline.loss.contains(seed)) continue;
    const double error = mean_of_last_half(relative_errors(loss, baseline.loss.at(seed)));
    ++c.seeds;
    c.broken += std::isnan(error);
    c.mean += error;
    c.least = std::min(c.least, error), c.most = std::max(c.most, error);
  }
  c.mean /= static_cast<double>(c.seeds);
  if (c.seeds == 0 || c.broken > 0) c.mean = c.least = c.most = NAN;
  return c;
}

double spread_of_seeds(const Fp8Runs& baseline) {
  Curve settled;
  for (const auto& [seed, loss] : baseline.loss) settled.push_back(mean_of_last_half(smoothed(loss)));
  const auto [least, most] = std::minmax_element(settled.begin(), settled.end());
  return *most / *least - 1;
}

LossFall loss_fall(const Fp8Runs& baseline) {
  LossFall fall;
  const auto seeds = static_cast<double>(baseline.loss.size());
  for (const auto& [seed, loss] : baseline.loss) {
    fall.first += loss.front() / seeds;
    fall.last += smoothed(loss).back() / seeds;
  }
  return fall;
}

std::string results_json(const Fp8Results& results, int indent) {
  nlohmann::ordered_json variants;
  for (const Fp8Runs& runs : results.runs) {
    if (runs.loss.empty()) continue;
    const Fp8Comparison c = compare(runs, results.baseline());
    nlohmann::ordered_json variant{{"name", runs.name}, {"what", runs.what}, {"relative_error", c.mean},
                                   {"least", c.least},  {"most", c.most},    {"broken_off", c.broken},
                                   {"seeds", nullptr},  {"loss", nullptr}};
    for (const auto& [seed, loss] : runs.loss) variant["seeds"].push_back(seed), variant["loss"].push_back(loss);
    variants.push_back(variant);
  }
  const LossFall fall = loss_fall(results.baseline());
  return nlohmann::ordered_json{{"config", results.settings.config},
                                {"steps", results.settings.steps},
                                {"text", results.text},
                                {"first_loss", fall.first},
                                {"last_loss", fall.last},
                                {"spread_of_seeds", spread_of_seeds(results.baseline())},
                                {"variants", variants}}
      .dump(indent);
}

void save_results(const fs::path& out, const Fp8Results& results) {
  write_settings(out / "settings.json", results.settings);
  write_file(out / "fp8.json", results_json(results, 1) + "\n");
  write_file(out / "fp8.svg", drawing(results));
}

Fp8Results load_results(const fs::path& out) {
  const std::string path = out / "fp8.json";
  require_world(fs::exists(path), path, "is not there: nothing has been finished; start without --resume");
  Fp8Results results{.settings = read_settings(out / "settings.json"), .runs = no_runs()};
  const MappedFile file(path);
  try {
    const nlohmann::json json = nlohmann::json::parse(file.text());
    results.text = json.at("text").get<std::uint64_t>();
    for (const nlohmann::json& variant : json.at("variants")) {
      const auto same_name = [&](const Fp8Runs& runs) { return runs.name == variant.at("name"); };
      const auto runs = std::find_if(results.runs.begin(), results.runs.end(), same_name);
      if (runs == results.runs.end()) throw std::invalid_argument("an unknown variant");
      read_runs(*runs, variant, results.settings.steps);
    }
    if (results.baseline().loss.empty()) throw std::invalid_argument("no run in BF16");
  } catch (const std::exception& error) {
    throw std::runtime_error(path + ": is not what dsv3 fp8 has written there (" + error.what() +
                             "); start without --resume");
  }
  return results;
}

}  // namespace dsv3::cli
