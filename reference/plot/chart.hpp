// SPDX-License-Identifier: MIT
/// \file
/// Line charts and heat maps as SVG text: what a run draws of itself.
#pragma once
#include <string>
#include <variant>
#include <vector>

namespace dsv3::plot {

struct Line {
  std::string name;
  std::vector<double> x, y;  ///< equally many; points that are not finite, or beyond 1e300, interrupt the line
  bool marked = false;       ///< with a dot at every point
};

struct LineChart {
  std::string title, x_label, y_label;
  std::vector<Line> lines;
};

/// Value v of row r, column c as a shade: white for `low` and less, dark blue for `high` and more, with a scale at the
/// right. The columns divide x_begin .. x_end evenly; rows are numbered from 0.
struct HeatMap {
  std::string title, x_label, y_label;
  std::vector<std::vector<double>> rows;  ///< equally long; drawn from the top
  double low = 0, high = 1;
  double x_begin = 0, x_end = 1;
  std::string scale_label = {};
};

using Panel = std::variant<LineChart, HeatMap>;

/// The panels side by side, each `width` x `height` pixels. Text is escaped; numbers have at most 5 digits, so equal
/// data gives equal text. Throws std::invalid_argument for lines with unequal x and y, ragged rows or no panels.
std::string svg(const std::vector<Panel>& panels, int width = 460, int height = 300);

}  // namespace dsv3::plot
