// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reference/core/require.hpp"
#include "reference/plot/frame.hpp"

namespace dsv3::plot {
namespace {

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

}  // namespace

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

}  // namespace dsv3::plot
