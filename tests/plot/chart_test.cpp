// SPDX-License-Identifier: MIT
#include "reference/plot/chart.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <stdexcept>

using namespace dsv3::plot;

namespace {

std::size_t occurrences(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("svg: a line from corner to corner of the axes, its name and the labels") {
  const LineChart chart{.title = "t<1>", .x_label = "steps", .y_label = "loss", .lines = {{"main", {0, 10}, {2, 4}}}};
  const std::string text = svg({chart}, 460, 300);
  CHECK(text.find("M58.0 256.0L444.0 34.0") != std::string::npos);  // margins 58, 16, 34, 44 in 460 x 300
  CHECK(text.find("t&lt;1&gt;") != std::string::npos);
  for (const char* word : {">main<", ">steps<", ">loss<", ">10<", ">4<"}) CHECK(text.find(word) != std::string::npos);
}

TEST_CASE("svg: a point that is not finite interrupts the line; it does not move the axes") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const LineChart chart{.title = "", .x_label = "", .y_label = "", .lines = {{"a", {0, 1, 2, 3}, {0, nan, 0, 1}}}};
  const std::string text = svg({chart});
  CHECK(text.find("nan") == std::string::npos);
  const std::size_t end = text.find("\" fill=\"none\" stroke=\"#1f6feb\"");
  REQUIRE(end != std::string::npos);
  const std::size_t begin = text.rfind("<path", end);
  CHECK(occurrences(text.substr(begin, end - begin), "M") == 2);
}

TEST_CASE("svg: a heat map has a cell per value, white for low and dark for high") {
  const HeatMap map{.title = "",
                    .x_label = "",
                    .y_label = "",

                    .rows = {{0, 1, 2}, {2, 1, 0}},
                    .low = 0,
                    .high = 2};
  const std::string text = svg({map});
  CHECK(occurrences(text, "fill=\"#ffffff\"") == 2);
  CHECK(occurrences(text, "fill=\"#143c96\"") == 2);
}

TEST_CASE("svg: a heat map numbers its rows and columns and has a scale with low, middle and high") {
  const HeatMap map{.title = "",
                    .x_label = "step",
                    .y_label = "expert",
                    .rows = std::vector<std::vector<double>>(16, {0.5, 0.5}),
                    .low = 0,
                    .high = 3,
                    .x_begin = 0,
                    .x_end = 125,
                    .scale_label = "load"};
  const std::string text = svg({map}, 460, 300);
  for (const char* const word : {">0<", ">5<", ">10<", ">15<", ">50<", ">100<", ">1.5<", ">3+<", ">step<", ">load<"})
    CHECK(text.find(word) != std::string::npos);
  CHECK(text.find(">16<") == std::string::npos);  // rows are 0 to 15
  CHECK(text.find("x=\"52.0\" y=\"44.9\" text-anchor=\"end\">0<") !=
        std::string::npos);                              // on the first row: 34 + 222/32
  CHECK(occurrences(text, "<rect") == 1 + 32 + 40 + 2);  // page, cells, the scale's steps, two borders
}

TEST_CASE("svg: a marked line has a dot at every point that can be drawn, another line none") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  LineChart chart{.title = "", .x_label = "", .y_label = "", .lines = {{"a", {0, 5, 10}, {2, nan, 4}}}};
  CHECK(occurrences(svg({chart}), "<circle") == 0);
  chart.lines[0].marked = true;
  const std::string text = svg({chart}, 460, 300);
  CHECK(occurrences(text, "<circle") == 2);
  CHECK(text.find("cx=\"58.0\" cy=\"256.0\"") != std::string::npos);
}

TEST_CASE("svg: what cannot be drawn is refused") {
  CHECK_THROWS_AS(svg({}), std::invalid_argument);
  CHECK_THROWS_AS(svg({LineChart{.title = "", .x_label = "", .y_label = "", .lines = {{"a", {1, 2}, {1}}}}}),
                  std::invalid_argument);
  CHECK_THROWS_AS(svg({HeatMap{.title = "", .x_label = "", .y_label = "", .rows = {{1, 2}, {1}}}}),
                  std::invalid_argument);
}

TEST_CASE("svg: any finite values end in a picture with a few ticks, however large, small or close together") {
  for (const std::vector<double>& y : std::vector<std::vector<double>>{{1e17, 1e17},
                                                                       {1e17, 1e17 + 16},
                                                                       {-1e308, 1e308},
                                                                       {1e-300, 2e-300},
                                                                       {3, 3},
                                                                       {0, 0},
                                                                       {5, 5 + 1e-15},
                                                                       {-7e5, -7e5}}) {
    CAPTURE(y[0]);
    const std::string text = svg({LineChart{.title = "", .x_label = "", .y_label = "", .lines = {{"a", {1, 2}, y}}}});
    CHECK(text.find("nan") == std::string::npos);
    CHECK(text.find("inf") == std::string::npos);
    const std::size_t ticks = occurrences(text, "stroke=\"#eee\"");
    CHECK((ticks >= 2 && ticks <= 12));
  }
}

TEST_CASE("svg: a line that does not change lies in the middle") {
  const LineChart chart{.title = "", .x_label = "", .y_label = "", .lines = {{"a", {0, 10}, {3, 3}}}};
  CHECK(svg({chart}, 460, 300).find("M58.0 145.0L444.0 145.0") != std::string::npos);
}

TEST_CASE("svg: logarithmic axes go from a whole power to another and are numbered with powers") {
  LineChart chart{.title = "",
                  .x_label = "",
                  .y_label = "",
                  .lines = {{"a", {128, 16384}, {0.02, 5}}},
                  .x_axis = Axis::log2,
                  .y_axis = Axis::log10};
  std::string text = svg({chart}, 460, 300);
  for (const char* const tick : {">128<", ">1024<", ">16384<", ">0.01<", ">0.1<", ">1<", ">10<"})
    CHECK(occurrences(text, tick) == 1);
  CHECK(text.find(">0<") == std::string::npos);
  // 0.02 is log10(2) of the first of three decades above the bottom, 256; 5 is log10(5) into the last
  CHECK(text.find("M58.0 233.7L444.0 56.3") != std::string::npos);
  chart.lines = {{"b", {1, 2, 4, 8}, {1e-7, 0, -1, 1e9}}};
  text = svg({chart});
  CHECK(text.find(">10\u2076<") != std::string::npos);
  CHECK(text.find(">10\u207b\u2076<") != std::string::npos);
  CHECK(text.find("nan") == std::string::npos);
  CHECK(occurrences(text, "stroke=\"#eee\"") <= 7);
  chart.lines = {{"c", {0, -1}, {1, 1}}};
  CHECK(svg({chart}).find("nan") == std::string::npos);
}

TEST_CASE("svg: names beside the axes widen the panel and show how their lines look; lines without a name have none") {
  LineChart chart{.title = "", .x_label = "", .y_label = "", .lines = {{"a", {0, 1}, {0, 1}}, {"", {0, 1}, {1, 0}}}};
  chart.lines[0].dash = "6 3";
  chart.lines[1].colour = 4;
  const std::string inside = svg({chart}, 460, 300);
  CHECK(inside.find("width=\"460\"") != std::string::npos);
  CHECK(occurrences(inside, "stroke-dasharray=\"6 3\"") == 1);
  CHECK(occurrences(inside, "stroke=\"#7b5ea7\"") == 1);
  CHECK(occurrences(inside, "></text>") == 3);  // the three empty titles, no empty name
  chart.legend = Legend::beside;
  const std::string beside = svg({chart, chart}, 460, 300);
  CHECK(beside.find("width=\"1018\"") != std::string::npos);  // twice 460 + 42 + a letter of 7
  CHECK(beside.find("M454.0 46.0h26\"") != std::string::npos);
  CHECK(beside.find("<circle") == std::string::npos);
  chart.lines[0].marked = true;
  CHECK(svg({chart}, 460, 300).find("cx=\"467.0\" cy=\"46.0\"") != std::string::npos);
  CHECK(occurrences(beside, "stroke-dasharray=\"6 3\"") == 4);
  CHECK(beside.find("M58.0 256.0L444.0 34.0") != std::string::npos);  // the axes keep their size
}

TEST_CASE("svg: a band lies between its low and high, which the axes hold") {
  LineChart chart{.title = "", .x_label = "", .y_label = "", .lines = {{"a", {0, 10}, {1, 1}}}};
  chart.lines[0].low = {0, 1}, chart.lines[0].high = {2, 1};
  const std::string text = svg({chart}, 460, 300);
  CHECK(text.find("<path d=\"M58.0 34.0L444.0 145.0L444.0 145.0L58.0 256.0Z\" fill=\"#1f6feb\"") != std::string::npos);
  chart.lines[0].high = {2};
  CHECK_THROWS_AS(svg({chart}), std::invalid_argument);
  chart.lines[0].low = {0};
  CHECK_THROWS_AS(svg({chart}), std::invalid_argument);
}
