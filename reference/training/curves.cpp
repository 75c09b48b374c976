// SPDX-License-Identifier: MIT
#include "reference/training/curves.hpp"

#include <algorithm>

#include "reference/core/require.hpp"
#include "reference/plot/chart.hpp"

namespace dsv3 {
namespace {

plot::LineChart losses(const std::vector<LogEntry>& log) {
  plot::Line main{.name = "training", .x = {}, .y = {}}, mtp{.name = "MTP module 1", .x = {}, .y = {}},
      held_out{.name = "held out", .x = {}, .y = {}};
  const auto add = [](plot::Line& line, const LogEntry& e, double loss) {
    line.x.push_back(static_cast<double>(e.tokens) / 1000);
    line.y.push_back(loss);
  };
  for (const LogEntry& e : log) {
    add(main, e, e.loss);
    if (!e.mtp_loss.empty()) add(mtp, e, e.mtp_loss[0]);
    if (e.held_out_loss) add(held_out, e, *e.held_out_loss);
  }
  plot::LineChart chart{.title = "Loss (nats per token)", .x_label = "thousand tokens", .y_label = "loss", .lines = {main}};
  if (!mtp.x.empty()) chart.lines.push_back(mtp);
  if (!held_out.x.empty()) chart.lines.push_back(held_out);
  return chart;
}

/// [expert][stretch]: load over mean load, summed over the steps of the stretch.
plot::HeatMap loads(const std::vector<LogEntry>& log, std::size_t layer) {
  const std::size_t experts = log[0].load[layer].size(), columns = std::min<std::size_t>(60, log.size());
  plot::HeatMap map{.title = "Expert load, last MoE layer", .x_label = "steps", .y_label = "expert", .rows = {}, .low = 0, .high = 2};
  map.rows.assign(experts, std::vector<double>(columns));
  std::vector<double> all(columns);
  for (std::size_t i = 0; i < log.size(); ++i)
    for (std::size_t e = 0; e < experts; ++e) {
      const auto load = static_cast<double>(log[i].load[layer][e]);
      map.rows[e][i * columns / log.size()] += load;
      all[i * columns / log.size()] += load;
    }
  for (auto& row : map.rows)
    for (std::size_t c = 0; c < columns; ++c) row[c] *= static_cast<double>(experts) / all[c];
  return map;
}

}  // namespace

std::string curves_svg(const std::vector<LogEntry>& log, Index mtp_modules) {
  require(!log.empty(), "curves_svg", "the log has no steps");
  std::vector<plot::Panel> panels = {losses(log)};
  const Index main_layers = static_cast<Index>(log[0].load.size()) - mtp_modules;
  if (main_layers > 0) panels.emplace_back(loads(log, static_cast<std::size_t>(main_layers) - 1));
  return plot::svg(panels);
}

}  // namespace dsv3
