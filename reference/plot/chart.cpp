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

std::string border(double x, double y, double width, double height) {
  return fmt::format(
      "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"none\" stroke=\"#888\"/>\n", x, y,
      width, height);
}

/// use(v) for the round numbers in a range.
template <class Use>
void for_each_tick(const Range& range, double step, const Use& use) {
  for (double v = std::ceil(range.low / step) * step; v <= range.high + step * 1e-9; v += step)
    use(std::abs(v) < step * 1e-9 ? 0 : v);
}

std::string x_ticks(const Frame& f) {
  std::string out;
  for_each_tick(f.x, tick_step(f.x, 5), [&](double v) {
    out += fmt::format("<path d=\"M{:.1f} {:.1f}v4\" stroke=\"#888\"/>\n", f.px(v), f.y0 + f.height);
    out += label(f.px(v), f.y0 + f.height + 16, "middle", fmt::format("{:.5g}", v));
  });
  return out;
}

std::string axes(const Frame& f) {
  std::string out = border(f.x0, f.y0, f.width, f.height) + x_ticks(f);
  for_each_tick(f.y, tick_step(f.y, 5), [&](double v) {
    out += fmt::format("<path d=\"M{:.1f} {:.1f}h{:.1f}\" stroke=\"#eee\"/>\n", f.x0, f.py(v), f.width);
    out += label(f.x0 - 6, f.py(v) + 4, "end", fmt::format("{:.5g}", v));
  });
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

std::string dots(const Frame& f, const Line& line, const char* colour) {
  std::string out;
  for (std::size_t i = 0; line.marked && i < line.x.size(); ++i)
    if (drawable(line.x[i]) && drawable(line.y[i]))
      out += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.2\" fill=\"{}\" shape-rendering=\"auto\"/>\n",
                         f.px(line.x[i]), f.py(line.y[i]), colour);
  return out;
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
    out += dots(f, chart.lines[i], colour);
    out += label(x, y, "end", chart.lines[i].name, fmt::format(" fill=\"{}\"", colour).c_str());
  }
  return out;
}

std::string shade(double v) {  // white to dark blue
  const double t = std::isfinite(v) ? std::clamp(v, 0.0, 1.0) : 0;
  return fmt::format("#{:02x}{:02x}{:02x}", static_cast<int>(255 - 235 * t), static_cast<int>(255 - 195 * t),
                     static_cast<int>(255 - 105 * t));
}

/// A little larger than its place, so that no seam shows between two.
std::string cell(double x, double y, double width, double height, const std::string& colour) {
  return fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\"/>\n", x, y,
                     width + 0.4, height + 0.4, colour);
}

/// What the shades stand for: a bar at the right of `f`, `low` below and `high` on top.
std::string scale(const HeatMap& map, const Frame& f) {
  constexpr int steps = 40;
  const double x = f.x0 + f.width + 12, width = 12, h = f.height / steps;
  std::string out;
  for (int i = 0; i < steps; ++i) out += cell(x, f.y0 + f.height - (i + 1) * h, width, h, shade((i + 0.5) / steps));
  const double right = x + width;
  for (const double part : {0.0, 0.5, 1.0})
    out += label(right + 5, f.y0 + (1 - part) * f.height + 4, "start",
                 fmt::format("{:.5g}{}", map.low + part * (map.high - map.low), part == 1 ? "+" : ""));
  const double middle = f.y0 + f.height / 2;
  return out + border(x, f.y0, width, f.height) +
         label(right + 36, middle, "middle", map.scale_label,
               fmt::format(" transform=\"rotate(-90 {:.1f} {:.1f})\"", right + 36, middle).c_str());
}

std::string draw(const HeatMap& map, Frame f) {
  require(!map.rows.empty() && map.high > map.low && map.x_end > map.x_begin, "svg",
          "a heat map needs rows, high above low and x_end above x_begin");
  constexpr double scale_width = 52;
  f.width -= scale_width;
  f.x = {map.x_begin, map.x_end};
  const std::size_t columns = map.rows.front().size();
  const auto num_rows = static_cast<double>(map.rows.size());
  const double w = f.width / static_cast<double>(columns), h = f.height / num_rows;
  std::string out = titles(f, map.title, map.x_label, map.y_label);
  for (std::size_t r = 0; r < map.rows.size(); ++r) {
    require(map.rows[r].size() == columns && columns > 0, "svg", "row ", r, " of a heat map has ", map.rows[r].size(),
            " values, the first ", columns);
    for (std::size_t c = 0; c < columns; ++c)
      out += cell(f.x0 + w * static_cast<double>(c), f.y0 + h * static_cast<double>(r), w, h,
                  shade((map.rows[r][c] - map.low) / (map.high - map.low)));
  }
  const Range numbers{0, num_rows - 1};
  for_each_tick(numbers, std::max(1.0, tick_step({0, num_rows}, 5)),
                [&](double v) { out += label(f.x0 - 6, f.y0 + h * (v + 0.5) + 4, "end", fmt::format("{:.5g}", v)); });
  return out + border(f.x0, f.y0, f.width, f.height) + x_ticks(f) + scale(map, f);
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
