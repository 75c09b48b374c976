// SPDX-License-Identifier: MIT
#include "cuda/bench/results.hpp"

#include <doctest/doctest.h>

#include <sstream>

using namespace dsv3::cuda::bench;

namespace {

RowResult row() {
  return {.name = "gemm 1x2x3",
          .what = "small",
          .unit = "TFLOP/s",
          .work = 4e9,
          .goal = 800,
          .goal_ratio = 0.7,
          .ours = {"ours", {}, {}},
          .peers = {{"block", {}, {}}, {"refused", {}, {}, "not supported: no algorithm"}, {"bf16", {}, {}}}};
}

bool says(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("bench results: ratios are taken round by round, and only of calls that are right") {
  RowResult r = row();
  take_times(r, {{1e-6, 2e-6, 4e-6}, {2e-6, 2e-6, 2e-6}, {3e-6, 3e-6, 6e-6}});
  CHECK(r.ours.seconds.median == 2e-6);
  CHECK(r.peers[0].ratio.median == doctest::Approx(1));
  CHECK(r.peers[0].ratio.low == doctest::Approx(0.5));
  CHECK(r.peers[0].ratio.high == doctest::Approx(2));
  CHECK(r.peers[1].seconds.median == 0);
  CHECK(r.peers[2].ratio.median == doctest::Approx(1.5));
  RowResult wrong = row();
  wrong.ours.why_not = "wrong: element (0, 0)";
  take_times(wrong, {{2e-6}, {3e-6}});
  CHECK(wrong.peers[0].seconds.median == 2e-6);
  CHECK(wrong.peers[2].seconds.median == 3e-6);
  CHECK(wrong.peers[0].ratio.median == 0);
}

TEST_CASE("bench results: a row survives its line of JSON, lines without a row are left out, a torn line is named") {
  RowResult r = row();
  take_times(r, {{4e-6}, {6e-6}, {8e-6}});
  std::istringstream lines("{\"device\":\"some\"}\n" + json_line(r) + "\n");
  const auto read = read_lines(lines);
  REQUIRE(read.size() == 1);
  CHECK(json_line(read[0]) == json_line(r));
  CHECK(text_of(read[0]) == text_of(r));
  std::istringstream torn(json_line(r) + "\n" + json_line(r).substr(0, 40));
  CHECK_THROWS_AS(read_lines(torn), std::runtime_error);
  std::istringstream lacking("{\"row\":\"x\"}");
  CHECK_THROWS_WITH_AS(read_lines(lacking), doctest::Contains("results: line 1: "), std::runtime_error);
}

TEST_CASE("bench results: rates, ratios, goals and reasons stand in the table") {
  RowResult r = row();
  take_times(r, {{4e-6}, {3e-6}, {8e-6}});
  const std::string text = text_of(r);
  CHECK(says(text, "4.0 us (4.0 .. 4.0)     1000 TFLOP/s; goal 800 TFLOP/s: reached"));
  CHECK(says(text, "ours 0.75 times as fast (0.75 .. 0.75); goal 0.7: reached"));
  CHECK(says(text, "not supported: no algorithm"));
  CHECK(says(text, "ours 2.00 times as fast"));
  RowResult slow = row(), wrong = row();
  take_times(slow, {{6e-6}, {3e-6}, {3e-6}});
  CHECK(says(text_of(slow), "goal 800 TFLOP/s: missed"));
  CHECK(says(text_of(slow), "goal 0.7: missed"));
  wrong.ours.why_not = "wrong: element (0, 0)";
  take_times(wrong, {{2e-6}, {3e-6}});
  CHECK(says(text_of(wrong), "wrong: element (0, 0)"));
  RowResult others = row();
  others.only_peers = true;
  others.goal = others.goal_ratio = 0;
  others.peers[0].seconds = {3e-6, 4e-6, 5e-6};
  std::istringstream line(json_line(others));
  const auto read = read_lines(line);
  REQUIRE(read.size() == 1);
  CHECK(says(text_of(read[0]), "not in turns with ours"));
  CHECK(says(text_of(read[0]), "4.0 us     1000 TFLOP/s"));
  CHECK(!says(text_of(read[0]), "times as fast"));
  CHECK(summary({r, slow, wrong, read[0]}) == "2 of 3 rows right and timed; 2 of 6 goals reached");
}
