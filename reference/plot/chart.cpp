// SPDX-License-Identifier: MIT
#include "reference/plot/chart.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "reference/core/require.hpp"
#include "reference/plot/frame.hpp"

namespace dsv3::plot {
namespace {

/// Of names beside the axes, which get their place at the right of a panel: a sample, then about 7 for each letter.
int width_of_names(const Panel& panel) {
  const auto* const chart = std::get_if<LineChart>(&panel);
  if (chart == nullptr || chart->legend != Legend::beside) return 0;
  std::size_t longest = 0;
  for (const Line& line : chart->lines) longest = std::max(longest, line.name.size());
  return 42 + 7 * static_cast<int>(longest);
}

}  // namespace

std::string svg(const std::vector<Panel>& panels, int width, int height) {
  require(!panels.empty(), "svg", "there is nothing to draw");
  int total = 0;
  std::string drawn;
  for (const Panel& panel : panels) {
    const Frame frame{static_cast<double>(total + margin_left), margin_top,
                      static_cast<double>(width - margin_left - margin_right),
                      static_cast<double>(height - margin_top - margin_bottom)};
    drawn += std::visit([&](const auto& p) { return draw(p, frame); }, panel);
    total += width + width_of_names(panel);
  }
  return fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
             "font-family=\"sans-serif\" font-size=\"12\" fill=\"#333\" shape-rendering=\"crispEdges\">\n<rect "
             "width=\"{0}\" height=\"{1}\" fill=\"white\"/>\n",
             total, height) +
         drawn + "</svg>\n";
}

}  // namespace dsv3::plot
