// SPDX-License-Identifier: MIT
#include "reference/training/curves.hpp"

#include <algorithm>

#include "reference/core/require.hpp"

namespace dsv3 {
namespace {

/// Layers of the main model that route.
Index main_moe_layers(const std::vector<LogEntry>& log, Index mtp_modules) {
  require(!log.empty(), "curves", "the log has no steps");
  return std::ssize(log[0].load) - mtp_modules;
}

/// Means of loss(entry) over at most 120 stretches of steps, at the last token of each.
template <class Loss>
plot::Line line_of_means(const std::string& name, const std::vector<LogEntry>& log, const Loss& loss) {
  plot::Line line{.name = name, .x = {}, .y = {}};
  const std::size_t stretches = std::min<std::size_t>(120, log.size());
  for (std::size_t s = 0; s < stretches; ++s) {
    const std::size_t begin = s * log.size() / stretches, end = (s + 1) * log.size() / stretches;
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += loss(log[i]);
    line.x.push_back(static_cast<double>(log[end - 1].tokens) / 1000);
    line.y.push_back(sum / static_cast<double>(end - begin));
  }
  return line;
}

}  // namespace

plot::LineChart loss_chart(const std::vector<LogEntry>& log) {
  require(!log.empty(), "loss_chart", "the log has no steps");
  plot::LineChart chart{.title = "Loss, nats per token", .x_label = "thousand tokens", .y_label = "", .lines = {}};
  chart.lines.push_back(line_of_means("training", log, [](const LogEntry& e) { return e.loss; }));
  if (!log[0].mtp_loss.empty())
    chart.lines.push_back(line_of_means("MTP module 1", log, [](const LogEntry& e) { return e.mtp_loss.at(0); }));
  plot::Line held_out{.name = "held out", .x = {}, .y = {}, .marked = true};
  if (log[0].held_out_before) held_out.x.push_back(0), held_out.y.push_back(*log[0].held_out_before);
  for (const LogEntry& e : log)
    if (e.held_out_loss) {
      held_out.x.push_back(static_cast<double>(e.tokens) / 1000);
      held_out.y.push_back(*e.held_out_loss);
    }
  if (!held_out.x.empty()) chart.lines.push_back(held_out);
  return chart;
}

plot::HeatMap load_map(const std::vector<LogEntry>& log, Index mtp_modules, const std::string& title) {
  const Index layers = main_moe_layers(log, mtp_modules);
  require(layers >= 1, "load_map", "the log has loads of ", log[0].load.size(), " layers, ", mtp_modules,
          " of them MTP modules; it needs an MoE layer of the main model");
  const std::size_t layer = static_cast<std::size_t>(layers) - 1, experts = log[0].load[layer].size();
  const std::size_t columns = std::min<std::size_t>(60, log.size());
  plot::HeatMap map{.title = title,
                    .x_label = "step",
                    .y_label = "expert",
                    .rows = {},
                    .low = 0,
                    .high = 2,
                    .x_begin = 0,
                    .x_end = static_cast<double>(log.back().step),
                    .scale_label = "load / mean load"};
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

std::string curves_svg(const std::vector<LogEntry>& log, Index mtp_modules) {
  std::vector<plot::Panel> panels = {loss_chart(log)};
  if (main_moe_layers(log, mtp_modules) > 0)
    panels.emplace_back(load_map(log, mtp_modules, "Load of the experts, last MoE layer"));
  return plot::svg(panels);
}

}  // namespace dsv3
