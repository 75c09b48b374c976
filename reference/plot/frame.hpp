// SPDX-License-Identifier: MIT
/// \file
/// What panels share: the rectangle inside their axes, ticks, labels.
#pragma once
#include <functional>
#include <limits>
#include <string>

#include "reference/plot/chart.hpp"

namespace dsv3::plot {

constexpr int margin_left = 58, margin_right = 16, margin_top = 34, margin_bottom = 44;

/// Whether a number is drawn: NaN and what lies beyond 1e300 is not, as a range of them would not be a number.
bool drawable(double v);

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void include(double v);
  /// Never empty, and wide enough beside its values that a tick's step is no rounding error.
  Range widened() const;
  /// From a whole number to another.
  Range to_whole() const;
};

/// The rectangle inside the axes of one panel, and the data it stands for: on a logarithmic axis the logarithms.
struct Frame {
  double x0, y0, width, height;
  Range x = {}, y = {};
  Axis x_axis = Axis::linear, y_axis = Axis::linear;
  double px(double v) const { return x0 + (v - x.low) / (x.high - x.low) * width; }
  double py(double v) const { return y0 + height - (v - y.low) / (y.high - y.low) * height; }
};

std::string label(double x, double y, const char* anchor, const std::string& text, const char* more = "");
std::string titles(const Frame& f, const std::string& title, const std::string& x_label, const std::string& y_label);
std::string border(double x, double y, double width, double height);

/// 1, 2 or 5 times a power of ten, so that about `count` of them fill the range.
double tick_step(const Range& range, int count);
/// use(v) for the multiples of `step` in a range.
void for_each_tick(const Range& range, double step, const std::function<void(double)>& use);

std::string x_ticks(const Frame& f);
std::string axes(const Frame& f);  ///< border, ticks of x and lines across at those of y

std::string draw(const LineChart& chart, Frame f);
std::string draw(const HeatMap& map, Frame f);

}  // namespace dsv3::plot
