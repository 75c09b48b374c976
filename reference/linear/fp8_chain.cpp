// SPDX-License-Identifier: MIT
#include <Eigen/Core>
#include <array>
#include <utility>

#include "reference/linear/fp8_panels.hpp"

namespace dsv3 {
namespace {

namespace packet = Eigen::internal;
using Packet = packet::packet_traits<float>::type;  // of float in both libraries
constexpr Index lanes = packet::packet_traits<float>::size, packets = fp8_panel / lanes;
constexpr Index strip_rows = 6;  // their sums, the panel's and one of a fill AVX2's registers

template <int rows>
void multiply_strip(const PanelBlock& block, Index first) {
  float* const sums = block.sums + first * fp8_panel;
  Packet sum[rows][packets];
  for (int r = 0; r < rows; ++r)
    for (int j = 0; j < packets; ++j)
      sum[r][j] = block.go_on ? packet::ploadu<Packet>(sums + r * fp8_panel + j * lanes) : packet::pset1<Packet>(0);
  const Index step = block.a.step, step_k = block.a.step_k;
  const float *a_k = &block.a.a[first * step], *b_k = block.b;
  for (Index k = 0; k < block.depth; ++k, a_k += step_k, b_k += fp8_panel) {
    Packet b_row[packets];
    for (int j = 0; j < packets; ++j) b_row[j] = packet::ploadu<Packet>(b_k + j * lanes);
#pragma GCC unroll 6
    for (int r = 0; r < rows; ++r) {
      const Packet a_rk = packet::pset1<Packet>(a_k[r * step]);
      for (int j = 0; j < packets; ++j) sum[r][j] = packet::pmadd(a_rk, b_row[j], sum[r][j]);
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int j = 0; j < packets; ++j) packet::pstoreu(sums + r * fp8_panel + j * lanes, sum[r][j]);
}

template <int... rows>
constexpr auto heights(std::integer_sequence<int, rows...>) {
  return std::array{multiply_strip<rows + 1>...};
}

constexpr auto of_height = heights(std::make_integer_sequence<int, strip_rows>{});

}  // namespace

void chain_panel(const Accumulation&, const PanelBlock& block) {
  // strips whose heights differ by at most one row
  const Index strips = (block.rows + strip_rows - 1) / strip_rows;
  for (Index strip = 0; strip < strips; ++strip) {
    const Index first = strip * block.rows / strips, end = (strip + 1) * block.rows / strips;
    of_height[end - first - 1](block, first);
  }
}

}  // namespace dsv3
