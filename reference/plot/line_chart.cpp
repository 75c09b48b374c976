// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <array>
#include <cmath>

#include "reference/core/require.hpp"
#include "reference/plot/frame.hpp"

namespace dsv3::plot {
namespace {

constexpr std::array colours = {"#1f6feb", "#d1495b", "#2e8b57", "#e0a030", "#7b5ea7",
                                "#333333", "#56b4e9", "#8c564b", "#888888"};

std::string path_of(const Frame& f, const Line& line) {
  std::string path;
  bool pen_down = false;
  for (std::size_t i = 0; i < line.x.size(); ++i) {
    const bool there = drawable(line.x[i]) && drawable(line.y[i]);
    if (there) path += fmt::format("{}{:.1f} {:.1f}", pen_down ? 'L' : 'M', f.px(line.x[i]), f.py(line.y[i]));
    pen_down = there;
  }
  return path;
}

std::string dot(double x, double y, const char* colour) {
  return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.2\" fill=\"{}\" shape-rendering=\"auto\"/>\n", x, y,
                     colour);
}

std::string dots(const Frame& f, const Line& line, const char* colour) {
  std::string out;
  for (std::size_t i = 0; line.marked && i < line.x.size(); ++i)
    if (drawable(line.x[i]) && drawable(line.y[i])) out += dot(f.px(line.x[i]), f.py(line.y[i]), colour);
  return out;
}

/// The band of a line: along its upper edge, back along the lower one. A point that cannot be drawn is left out.
std::string band(const Frame& f, const Line& line, const char* colour) {
  std::string there, back;
  for (std::size_t i = 0; i < line.low.size(); ++i) {
    if (!drawable(line.x[i]) || !drawable(line.low[i]) || !drawable(line.high[i])) continue;
    there += fmt::format("{}{:.1f} {:.1f}", there.empty() ? 'M' : 'L', f.px(line.x[i]), f.py(line.high[i]));
    back = fmt::format("L{:.1f} {:.1f}", f.px(line.x[i]), f.py(line.low[i])) + back;
  }
  if (there.empty()) return {};
  return fmt::format("<path d=\"{}{}Z\" fill=\"{}\" fill-opacity=\"0.18\" shape-rendering=\"auto\"/>\n", there, back,
                     colour);
}

std::string stroke(const std::string& path, const Line& line, const char* colour) {
  const std::string dash = *line.dash ? fmt::format(" stroke-dasharray=\"{}\"", line.dash) : "";
  return fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\"{} shape-rendering=\"auto\"/>\n",
                     path, colour, dash);
}

/// The name of a line in the given row of the legend.
std::string legend_entry(const Frame& f, Legend legend, const Line& line, const char* colour, int row) {
  const double y = f.y0 + 16 + 16 * row, right = f.x0 + f.width;
  if (legend == Legend::inside)
    return label(right - 10, y, "end", line.name, fmt::format(" fill=\"{}\"", colour).c_str());
  const std::string sample = stroke(fmt::format("M{:.1f} {:.1f}h26", right + 10, y - 4), line, colour);
  return sample + (line.marked ? dot(right + 23, y - 4, colour) : "") + label(right + 42, y, "start", line.name);
}

void to_axis(Axis axis, std::vector<double>& values) {
  if (axis == Axis::linear) return;
  for (double& v : values) v = axis == Axis::log2 ? std::log2(v) : std::log10(v);  // not drawable unless v > 0
}

/// The lines as the axes measure them: logarithms where they do.
std::vector<Line> on_axes(const LineChart& chart) {
  std::vector<Line> lines = chart.lines;
  for (Line& line : lines) {
    require(line.x.size() == line.y.size(), "svg", "line '", line.name, "' has ", line.x.size(), " x and ",
            line.y.size(), " y");
    require(line.low.size() == line.high.size() && (line.low.empty() || line.low.size() == line.x.size()), "svg",
            "the band of line '", line.name, "' has ", line.low.size(), " low and ", line.high.size(), " high for ",
            line.x.size(), " x");
    to_axis(chart.x_axis, line.x);
    for (auto* const values : {&line.y, &line.low, &line.high}) to_axis(chart.y_axis, *values);
  }
  return lines;
}

}  // namespace

std::string draw(const LineChart& chart, Frame f) {
  const std::vector<Line> lines = on_axes(chart);
  f.x_axis = chart.x_axis, f.y_axis = chart.y_axis;
  for (const Line& line : lines) {
    for (const double v : line.x) f.x.include(v);
    for (const auto* const values : {&line.y, &line.low, &line.high})
      for (const double v : *values) f.y.include(v);
  }
  f.x = f.x_axis == Axis::linear ? f.x.widened() : f.x.to_whole();
  f.y = f.y_axis == Axis::linear ? f.y.widened() : f.y.to_whole();
  std::string out = axes(f) + titles(f, chart.title, chart.x_label, chart.y_label), bands, strokes;
  int row = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const Line& line = lines[i];
    const char* const colour = colours[(line.colour < 0 ? i : static_cast<std::size_t>(line.colour)) % colours.size()];
    bands += band(f, line, colour);
    strokes += stroke(path_of(f, line), line, colour) + dots(f, line, colour);
    if (!line.name.empty()) strokes += legend_entry(f, chart.legend, line, colour, row++);
  }
  return out + bands + strokes;
}

}  // namespace dsv3::plot
