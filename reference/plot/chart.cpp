// SPDX-License-Identifier: MIT
#include "reference/plot/chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "reference/core/require.hpp"

namespace dsv3::plot {
namespace {

constexpr std::array colours = {"#1f6feb", "#d1495b", "#2e8b57", "#e0a030", "#7b5ea7"};
constexpr int margin_left = 58, margin_right = 16, margin_top = 34, margin_bottom = 44;

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '&') out += "&amp;";
    else out += c;
  }
  return out;
}

/// Numbers beyond this are left out, as NaN is: a range of them would not be a number.
constexpr double largest = 1e300;
bool drawable(double v) { return std::abs(v) <= largest; }

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void include(double v) {
    if (drawable(v)) low = std::min(low, v), high = std::max(high, v);
  }
  /// Never empty, and wide enough beside its values that a tick's step is no rounding error.
  Range widened() const {
    if (!(low <= high)) return {0, 1};
    const double size = std::max(std::abs(low), std::abs(high)), half = std::max(0.5, 1e-3 * size);
    return high - low > 1e-9 * size ? *this : Range{low - half, high + half};
  }
};

/// 1, 2 or 5 times a power of ten, so that about `count` of them fill the range.
double tick_step(const Range& range, int count) {
  const double raw = (range.high - range.low) / count, power = std::pow(10, std::floor(std::log10(raw)));
  for (const double digit : {1.0, 2.0, 5.0})
    if (digit * power >= raw) return digit * power;
  return 10 * power;
}

/// The rectangle inside the axes of one panel, and the data it stands for.
struct Frame {
  double x0, y0, width, height;
  Range x, y;
  double px(double v) const { return x0 + (v - x.low) / (x.high - x.low) * width; }
  double py(double v) const { return y0 + height - (v - y.low) / (y.high - y.low) * height; }
};

std::string label(double x, double y, const char* anchor, const std::string& text, const char* more = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y, anchor, more,
                     escaped(text));
}

std::string titles(const Frame& f, const std::string& title, const std::string& x_label, const std::string& y_label) {
  const double middle = f.y0 + f.height / 2, left = f.x0 - 42;
  return label(f.x0, f.y0 - 14, "start", title, " font-weight=\"bold\"") +
         label(f.x0 + f.width / 2, f.y0 + f.height + 34, "middle", x_label) +
         label(left, middle, "middle", y_label,
               fmt::format(" transform=\"rotate(-90 {:.1f} {:.1f})\"", left, middle).c_str());
}

std::string axes(const Frame& f) {
  std::string out = fmt::format(
      "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"none\" stroke=\"#888\"/>\n", f.x0,
      f.y0, f.width, f.height);
  const double dx = tick_step(f.x, 5), dy = tick_step(f.y, 5);
  for (double v = std::ceil(f.x.low / dx) * dx; v <= f.x.high + dx * 1e-9; v += dx)
    out += label(f.px(v), f.y0 + f.height + 16, "middle", fmt::format("{:.5g}", std::abs(v) < dx * 1e-9 ? 0 : v));
  for (double v = std::ceil(f.y.low / dy) * dy; v <= f.y.high + dy * 1e-9; v += dy) {
    out += fmt::format("<path d=\"M{:.1f} {:.1f}h{:.1f}\" stroke=\"#eee\"/>\n", f.x0, f.py(v), f.width);
    out += label(f.x0 - 6, f.py(v) + 4, "end", fmt::format("{:.5g}", std::abs(v) < dy * 1e-9 ? 0 : v));
  }
  return out;
}

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

std::string draw(const LineChart& chart, Frame f) {
  f.x = f.y = {};
  for (const Line& line : chart.lines) {
    require(line.x.size() == line.y.size(), "svg", "line '", line.name, "' has ", line.x.size(), " x and ",
            line.y.size(), " y");
    for (const double v : line.x) f.x.include(v);
    for (const double v : line.y) f.y.include(v);
  }
  f.x = f.x.widened();
  f.y = f.y.widened();
  std::string out = axes(f) + titles(f, chart.title, chart.x_label, chart.y_label);
  for (std::size_t i = 0; i < chart.lines.size(); ++i) {
    const char* const colour = colours[i % colours.size()];
    const double y = f.y0 + 16 + 16 * static_cast<double>(i), x = f.x0 + f.width - 10;
    out += fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\" shape-rendering=\"auto\"/>\n",
                       path_of(f, chart.lines[i]), colour);
    out += label(x, y, "end", chart.lines[i].name, fmt::format(" fill=\"{}\"", colour).c_str());
  }
  return out;
}

std::string shade(double v) {  // white to dark blue
  const double t = std::isfinite(v) ? std::clamp(v, 0.0, 1.0) : 0;
  return fmt::format("#{:02x}{:02x}{:02x}", static_cast<int>(255 - 235 * t), static_cast<int>(255 - 195 * t),
                     static_cast<int>(255 - 105 * t));
}

std::string draw(const HeatMap& map, Frame f) {
  require(!map.rows.empty() && map.high > map.low, "svg", "a heat map needs rows and high above low");
  const std::size_t columns = map.rows.front().size();
  f.x = {0, static_cast<double>(columns)};
  f.y = {0, static_cast<double>(map.rows.size())};
  std::string out = titles(f, map.title, map.x_label, map.y_label);
  const double w = f.width / f.x.high, h = f.height / f.y.high;
  for (std::size_t r = 0; r < map.rows.size(); ++r) {
    require(map.rows[r].size() == columns && columns > 0, "svg", "row ", r, " of a heat map has ", map.rows[r].size(),
            " values, the first ", columns);
    for (std::size_t c = 0; c < columns; ++c)
      out += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\"/>\n",
                         f.x0 + w * static_cast<double>(c), f.y0 + h * static_cast<double>(r), w, h,
                         shade((map.rows[r][c] - map.low) / (map.high - map.low)));
  }
  return out +
         fmt::format(
             "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"none\" stroke=\"#888\"/>\n",
             f.x0, f.y0, f.width, f.height);
}

}  // namespace

std::string svg(const std::vector<Panel>& panels, int width, int height) {
  require(!panels.empty(), "svg", "there is nothing to draw");
  const int total = width * static_cast<int>(panels.size());
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
      "font-family=\"sans-serif\" font-size=\"12\" fill=\"#333\" shape-rendering=\"crispEdges\">\n<rect width=\"{0}\" "
      "height=\"{1}\" fill=\"white\"/>\n",
      total, height);
  for (std::size_t i = 0; i < panels.size(); ++i) {
    const Frame frame{static_cast<double>(width) * static_cast<double>(i) + margin_left,
                      margin_top,
                      static_cast<double>(width - margin_left - margin_right),
                      static_cast<double>(height - margin_top - margin_bottom),
                      {},
                      {}};
    out += std::visit([&](const auto& panel) { return draw(panel, frame); }, panels[i]);
  }
  return out + "</svg>\n";
}

}  // namespace dsv3::plot
