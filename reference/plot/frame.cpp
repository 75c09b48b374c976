// SPDX-License-Identifier: MIT
#include "reference/plot/frame.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace dsv3::plot {
namespace {

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

/// 0.01, 0.1, ... 1000; beyond them 10 with its power.
std::string power_of_ten(int power) {
  if (power >= -2 && power <= 3) return fmt::format("{:g}", std::pow(10, power));
  constexpr std::array digits = {"\u2070", "\u00b9", "\u00b2", "\u00b3", "\u2074",
                                 "\u2075", "\u2076", "\u2077", "\u2078", "\u2079"};
  std::string text = power < 0 ? "10\u207b" : "10";
  for (const char digit : std::to_string(std::abs(power))) text += digits[static_cast<std::size_t>(digit - '0')];
  return text;
}

/// use(place, text) for the ticks of an axis; on a logarithmic one a place is a power.
template <class Use>
void for_each_label(Axis axis, const Range& range, const Use& use) {
  const int most = axis == Axis::log2 ? 8 : axis == Axis::log10 ? 6 : 5;  // ticks
  double step = tick_step(range, most);
  if (axis != Axis::linear) step = std::max(1.0, std::ceil((range.high - range.low) / most));
  for_each_tick(range, step, [&](double v) {
    if (axis == Axis::log10) use(v, power_of_ten(static_cast<int>(std::lround(v))));
    else use(v, fmt::format("{:.5g}", axis == Axis::log2 ? std::exp2(v) : v));
  });
}

}  // namespace

bool drawable(double v) { return std::abs(v) <= 1e300; }

void Range::include(double v) {
  if (drawable(v)) low = std::min(low, v), high = std::max(high, v);
}

Range Range::widened() const {
  if (!(low <= high)) return {0, 1};
  const double size = std::max(std::abs(low), std::abs(high)), half = std::max(0.5, 1e-3 * size);
  return high - low > 1e-9 * size ? *this : Range{low - half, high + half};
}

Range Range::to_whole() const {
  const Range some = widened();
  return {std::floor(some.low), std::ceil(some.high)};
}

double tick_step(const Range& range, int count) {
  const double raw = (range.high - range.low) / count, power = std::pow(10, std::floor(std::log10(raw)));
  for (const double digit : {1.0, 2.0, 5.0})
    if (digit * power >= raw) return digit * power;
  return 10 * power;
}

void for_each_tick(const Range& range, double step, const std::function<void(double)>& use) {
  for (double v = std::ceil(range.low / step) * step; v <= range.high + step * 1e-9; v += step)
    use(std::abs(v) < step * 1e-9 ? 0 : v);
}

std::string label(double x, double y, const char* anchor, const std::string& text, const char* more) {
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

std::string x_ticks(const Frame& f) {
  std::string out;
  for_each_label(f.x_axis, f.x, [&](double v, const std::string& text) {
    out += fmt::format("<path d=\"M{:.1f} {:.1f}v4\" stroke=\"#888\"/>\n", f.px(v), f.y0 + f.height);
    out += label(f.px(v), f.y0 + f.height + 16, "middle", text);
  });
  return out;
}

std::string axes(const Frame& f) {
  std::string out = border(f.x0, f.y0, f.width, f.height) + x_ticks(f);
  for_each_label(f.y_axis, f.y, [&](double v, const std::string& text) {
    out += fmt::format("<path d=\"M{:.1f} {:.1f}h{:.1f}\" stroke=\"#eee\"/>\n", f.x0, f.py(v), f.width);
    out += label(f.x0 - 6, f.py(v) + 4, "end", text);
  });
  return out;
}

}  // namespace dsv3::plot
