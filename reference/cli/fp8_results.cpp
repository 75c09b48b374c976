// SPDX-License-Identifier: MIT
#include "reference/cli/fp8_results.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "reference/checkpoint/atomic_file.hpp"
#include "reference/checkpoint/mapped_file.hpp"
#include "reference/checkpoint/strict_json.hpp"
#include "reference/core/require.hpp"

namespace dsv3::cli {
namespace {

namespace fs = std::filesystem;

void check(bool ok, const char* what) {
  if (!ok) throw std::invalid_argument(what);
}

/// A curve that breaks off holds null from there on.
Curve curve_of(const nlohmann::json& losses, Index steps) {
  check(losses.is_array() && std::ssize(losses) == steps, "a curve of another length");
  Curve curve;
  for (const nlohmann::json& loss : losses) {
    const bool goes_on = curve.empty() || !std::isnan(curve.back());
    check(loss.is_null() || (goes_on && loss.is_number() && loss.get<double>() > 0), "a loss that is none");
    curve.push_back(loss.is_null() ? NAN : loss.get<double>());
  }
  return curve;
}

std::uint64_t natural(const nlohmann::json& number) {
  check(number.is_number_unsigned(), "a seed or text that is no whole number");
  return number.get<std::uint64_t>();
}

void read_runs(Fp8Runs& runs, const nlohmann::json& variant, Index steps) {
  const nlohmann::json &seeds = variant.at("seeds"), &losses = variant.at("loss");
  check(seeds.is_array() && losses.is_array() && seeds.size() == losses.size(), "seeds and curves that do not match");
  for (std::size_t i = 0; i < seeds.size(); ++i)
    check(runs.loss.emplace(natural(seeds[i]), curve_of(losses[i], steps)).second, "a seed or a variant twice");
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
    if (!baseline.loss.contains(seed) || std::isnan(baseline.loss.at(seed).back()))
      continue;  // nothing to compare with
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
  double sum = 0;
  Index pairs = 0;
  for (auto a = baseline.loss.begin(); a != baseline.loss.end(); ++a)
    for (auto b = baseline.loss.begin(); b != a; ++b, ++pairs)
      sum += mean_of_last_half(relative_errors(a->second, b->second));
  return sum / static_cast<double>(pairs);
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
  const std::string json = results_json(results, 1) + "\n", picture = drawing(results);
  if (!fs::exists(out / "settings.json") || read_settings(out / "settings.json") != results.settings) {
    fs::remove(out / "fp8.json");  // of another experiment: never beside these settings
    write_settings(out / "settings.json", results.settings);
  }
  write_file(out / "fp8.json", json);
  write_file(out / "fp8.svg", picture);
}

Fp8Results load_results(const fs::path& out) {
  const std::string path = out / "fp8.json";
  require_world(fs::exists(path), path, "is not there: nothing has been finished; start without --resume");
  Fp8Results results{.settings = read_settings(out / "settings.json"), .runs = no_runs()};
  const MappedFile file(path);
  try {
    const nlohmann::json json = parse_strict_json(file.text(), path);
    results.text = natural(json.at("text"));
    for (const nlohmann::json& variant : json.at("variants")) {
      const auto same_name = [&](const Fp8Runs& runs) { return runs.name == variant.at("name"); };
      const auto runs = std::find_if(results.runs.begin(), results.runs.end(), same_name);
      check(runs != results.runs.end(), "an unknown variant");
      read_runs(*runs, variant, results.settings.steps);
    }
    check(!results.baseline().loss.empty(), "no run in BF16");
  } catch (const std::exception& error) {
    throw std::runtime_error(path + ": is not what dsv3 fp8 has written there (" + error.what() +
                             "); start without --resume");
  }
  return results;
}

}  // namespace dsv3::cli
