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
  int colour = -1;           ///< the number of a colour, from 0 and around; -1: the line's own place
  const char* dash = "";     ///< lengths of strokes and gaps ("6 3"), so that lines differ in grey too
  std::vector<double> low = {}, high = {};  ///< a band around the line, as many values as points; or none
};

/// log2 and log10: axes that end at whole powers and are numbered there; values that are not above 0 are not drawn.
enum class Axis { linear, log2, log10 };

/// The names of the lines, those that have one: in their colours inside the axes, or with a sample of each beside them.
enum class Legend { inside, beside };

struct LineChart {
  std::string title, x_label, y_label;
  std::vector<Line> lines;
  Axis x_axis = Axis::linear, y_axis = Axis::linear;
  Legend legend = Legend::inside;
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

/// The panels side by side, each `width` x `height` pixels and what names beside its axes need. Text is escaped;
/// numbers have at most 5 digits, so equal data gives equal text. Throws std::invalid_argument for lines with unequal x
/// and y or bands, ragged rows or no panels.
std::string svg(const std::vector<Panel>& panels, int width = 460, int height = 300);

}  // namespace dsv3::plot
