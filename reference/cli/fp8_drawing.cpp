// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "reference/cli/fp8_results.hpp"
#include "reference/plot/chart.hpp"

namespace dsv3::cli {
namespace {

constexpr int dark_grey = 5;  // among the colours of plot::Line: BF16, and what is no run

/// One look for each variant: BF16 is 0.
plot::Line line(std::size_t place, const std::string& name, const Curve& x) {
  constexpr std::array dashes = {"", "", "7 3", "2 2", "8 3 2 3", "4 2", "10 3", "1 2", "8 2 2 2 2 2"};
  plot::Line l{.name = name, .x = x, .y = {}};
  l.colour = place == 0 ? dark_grey : static_cast<int>(place <= dark_grey ? place - 1 : place);
  l.dash = dashes[place % dashes.size()];
  return l;
}

/// The mean of some curves at every step; where it is asked for and there are several, with a band from the least of
/// them to the most.
void set_mean(plot::Line& l, const std::vector<Curve>& curves, bool with_band) {
  const bool banded = with_band && curves.size() > 1;
  if (banded) l.name += " (band: seeds)";
  for (std::size_t t = 0; t < l.x.size(); ++t) {
    double sum = 0, low = INFINITY, high = -INFINITY;
    for (const Curve& curve : curves) sum += curve[t], low = std::min(low, curve[t]), high = std::max(high, curve[t]);
    l.y.push_back(sum / static_cast<double>(curves.size()));
    if (banded) l.low.push_back(low), l.high.push_back(high);
  }
}

plot::Line rule(const std::string& name, double percent, const Curve& x, const char* dash) {
  plot::Line l{.name = name, .x = {x.front(), x.back()}, .y = {percent, percent}};
  l.colour = dark_grey;
  l.dash = dash;
  return l;
}

}  // namespace

std::string drawing(const Fp8Results& results) {
  const Fp8Runs& bf16 = results.baseline();
  plot::LineChart loss{
      .title = "Training loss, smoothed", .x_label = "thousand tokens", .y_label = "nats per token", .lines = {}};
  plot::LineChart error{.title = "Relative loss error against BF16",
                        .x_label = "thousand tokens",
                        .y_label = "percent",
                        .lines = {},
                        .y_axis = plot::Axis::log10,
                        .legend = plot::Legend::beside};
  Curve x;
  const auto tokens = static_cast<double>(results.settings.sequences * results.settings.sequence_length);
  for (Index t = 1; t <= results.settings.steps; ++t) x.push_back(static_cast<double>(t) * tokens / 1000);
  for (std::size_t i = 0; i < results.runs.size(); ++i) {
    std::vector<Curve> losses, errors;
    for (const auto& [seed, curve] : results.runs[i].loss) {
      losses.push_back(smoothed(curve));
      if (i == 0 || !bf16.loss.contains(seed)) continue;
      errors.push_back(relative_errors(curve, bf16.loss.at(seed)));
      for (double& e : errors.back()) e *= 100;
    }
    if (!losses.empty()) {
      loss.lines.push_back(line(i, i == 0 ? "bf16" : "", x));
      set_mean(loss.lines.back(), losses, i == 0);
    }
    if (errors.empty()) continue;
    error.lines.push_back(line(i, results.runs[i].name, x));
    set_mean(error.lines.back(), errors, error.lines.size() == 1);
  }
  if (const double apart = spread_of_seeds(bf16); std::isfinite(apart))
    error.lines.push_back(rule("BF16, seeds apart", 100 * apart, x, "3 3"));
  error.lines.push_back(rule("0.25% (the report)", 0.25, x, ""));
  return plot::svg({loss, error});
}

}  // namespace dsv3::cli
