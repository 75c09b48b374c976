// SPDX-License-Identifier: MIT
#include "cuda/linear/schedule.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <vector>

using namespace dsv3::cuda;

namespace {

std::minstd_rand source(1);
int draw(int least, int most) { return least + static_cast<int>(source() % static_cast<unsigned>(most - least + 1)); }
int width_drawn() { return tile_widths[draw(0, 3)]; }

/// Counts for each (expert, row, col) in units of 32 x 32 how often it is computed; every tile stays inside its expert.
template <class Schedule>
std::map<std::array<int, 3>, int> covered(const Schedule& schedule, int rows_before_expert) {
  std::map<std::array<int, 3>, int> times;
  for (int index = 0;; ++index) {
    const Tile tile = schedule.tile(index);
    if (tile.is_last) {
      CHECK(schedule.tile(index + 1).is_last);
      return times;
    }
    CHECK(index < schedule.count());
    CHECK(tile.cols >= 1);
    const int first_row = tile.out_row - tile.expert * rows_before_expert;
    for (int i = 0; i < tile.rows; i += 32)
      for (int j = 0; j < tile.cols; j += 32) ++times[{tile.expert, first_row + i, tile.col + j}];
  }
}

int units(int n) { return ceil_div(n, 32); }

bool all_once(const std::map<std::array<int, 3>, int>& times) {
  return std::all_of(times.begin(), times.end(), [](const auto& place) { return place.second == 1; });
}

}  // namespace

TEST_CASE("schedule: bands cover every tile once, and a band's tiles follow each other") {
  for (int i = 0; i < 2000; ++i) {
    const TileGrid grid{draw(1, 40), draw(1, 40), draw(1, 12)};
    std::vector<int> times(static_cast<std::size_t>(grid.count()));
    int band = 0;
    for (int index = 0; index < grid.count(); ++index) {
      const TilePlace place = place_of(index, grid);
      REQUIRE(place.row < grid.down);
      REQUIRE(place.col < grid.across);
      ++times[static_cast<std::size_t>(place.row * grid.across + place.col)];
      CHECK(place.row / grid.band >= band);
      band = place.row / grid.band;
    }
    CHECK(std::all_of(times.begin(), times.end(), [](int n) { return n == 1; }));
  }
}

TEST_CASE("schedule: a product's tiles cover its rows and columns once, at edges too") {
  for (int i = 0; i < 1000; ++i) {
    const int M = draw(1, 700), N = draw(1, 700), K = draw(1, 1000);
    const RowSchedule schedule = RowSchedule::of(M, N, K, width_drawn());
    const auto times = covered(schedule, 0);
    CHECK(all_once(times));
    CHECK(static_cast<int>(times.size()) == units(M) * units(N));
    const Tile first = schedule.tile(0);
    CHECK(first.steps == ceil_div(K, 128));
    CHECK(first.rows == std::min(M, 128));
  }
}

TEST_CASE("schedule: rows of experts read their expert's weight, padding is nobody's") {
  for (int i = 0; i < 1000; ++i) {
    const int M = draw(1, 1500), N = 2 * draw(1, 200), num_experts = draw(1, 5);
    std::vector<int> expert_of_block(static_cast<std::size_t>(ceil_div(M, 128)));
    for (int& expert : expert_of_block) expert = draw(-1, num_experts - 1);
    const RowSchedule schedule = RowSchedule::of(M, N, 256, width_drawn(), expert_of_block.data());
    for (int index = 0; index < schedule.count(); ++index) {
      const Tile tile = schedule.tile(index);
      CHECK(tile.a_row == tile.out_row);
      CHECK(tile.expert == expert_of_block[static_cast<std::size_t>(tile.out_row / 128)]);
      CHECK((tile.rows == 0) == (tile.expert < 0));
      if (tile.rows > 0) CHECK(tile.b_row == tile.expert * N + tile.col);
    }
    CHECK(schedule.tile(schedule.count()).is_last);
  }
}

TEST_CASE("schedule: masked experts' used rows are covered once, none beyond, experts without rows have no tile") {
  for (int i = 0; i < 1000; ++i) {
    const int M = draw(1, 400), N = draw(1, 400), num_experts = draw(1, 6);
    std::vector<int> used;
    for (int e = 0; e < num_experts; ++e) used.push_back(draw(0, 3) == 0 ? 0 : draw(0, M));
    const auto times = covered(MaskedSchedule{M, N, 128, width_drawn(), num_experts, used.data()}, M);
    CHECK(all_once(times));
    int expected = 0;
    for (const int rows : used) expected += units(rows) * units(N);
    CHECK(static_cast<int>(times.size()) == expected);
  }
}

TEST_CASE("schedule: each expert's dW is covered once, over the steps of its tokens") {
  for (int i = 0; i < 1000; ++i) {
    const int M = draw(1, 300), N = draw(1, 300), num_experts = draw(1, 6);
    std::vector<int> begin{0};
    for (int e = 0; e < num_experts; ++e) begin.push_back(begin.back() + 128 * draw(0, 3));
    const DepthSchedule schedule{M, N, begin.back(), width_drawn(), num_experts, begin.data()};
    const auto times = covered(schedule, M);
    CHECK(all_once(times));
    int expected = 0;
    for (std::size_t e = 0; e + 1 < begin.size(); ++e) expected += begin[e] == begin[e + 1] ? 0 : units(M) * units(N);
    CHECK(static_cast<int>(times.size()) == expected);
    for (int index = 0; index < schedule.count(); ++index) {
      const Tile tile = schedule.tile(index);
      const auto e = static_cast<std::size_t>(tile.expert);
      CHECK(tile.first_step * 128 == begin[e]);
      CHECK((tile.first_step + tile.steps) * 128 == begin[e + 1]);
    }
  }
}

TEST_CASE("schedule: the width fills the multiprocessors where there are few tiles, and is wide where there are many") {
  CHECK(best_width(4096, 7168, 16384, 132) >= 128);
  CHECK(best_width(64, 4096, 7168, 132) == 64);  // 64 tiles; wider ones would leave more multiprocessors idle
  for (int i = 0; i < 2000; ++i) {
    const int M = draw(1, 8192), N = draw(1, 8192), K = draw(1, 8192), width = best_width(M, N, K, 132);
    for (const int other : tile_widths) CHECK(cycles(M, N, K, width, 132) <= cycles(M, N, K, other, 132));
  }
}
