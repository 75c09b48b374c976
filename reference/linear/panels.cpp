// SPDX-License-Identifier: MIT
#include "reference/linear/panels.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace dsv3 {
namespace {

template <int packets, int... rows>
constexpr auto heights(std::integer_sequence<int, rows...>) {
  return std::array{multiply_panels<rows + 1, packets>...};
}

/// The kernel for each height of a strip; [0] is that of one row.
template <int packets>
constexpr auto of_height = heights<packets>(std::make_integer_sequence<int, strip_rows<packets>>{});

}  // namespace

template <int packets>
void pack_panel(real* packed, const Factor& b, Index depth, Index cols) {
  constexpr Index width = packets * lanes;
  Index k = 0;
  if (b.step == 1 && cols == width)
    for (; k < depth; ++k)
      for (Index j = 0; j < width; j += lanes)
        packet::pstoreu(packed + k * width + j, packet::ploadu<Packet>(b.at(j, k)));
  if (b.step_k == 1)  // columns of b lie along memory: transposed in squares of lanes x lanes, the last repeated
    for (; k + lanes <= depth; k += lanes)
      for (Index j = 0; j < width; j += lanes) {
        Square square;
        for (Index i = 0; i < lanes; ++i) square.packet[i] = packet::ploadu<Packet>(b.at(std::min(j + i, cols - 1), k));
        packet::ptranspose(square);
        for (Index i = 0; i < lanes; ++i) packet::pstoreu(packed + (k + i) * width + j, square.packet[i]);
      }
  for (; k < depth; ++k)
    for (Index j = 0; j < width; ++j) packed[k * width + j] = j < cols ? *b.at(j, k) : 0;
}

template <int packets>
void multiply_down(Panels p, Index m) {
  constexpr Index most = strip_rows<packets>;
  const Index strips = (m + most - 1) / most, height = m / strips, num_higher = m % strips;
  for (const Index rows : {height + 1, height}) {
    p.count = rows > height ? num_higher : strips - num_higher;
    p.move = {rows * p.a.step, 0, rows * p.next.step, rows * p.out_step};
    if (p.count == 0) continue;
    of_height<packets>[rows - 1](p);
    p.a.data += p.count * p.move.a, p.next.data += p.count * p.move.next, p.out += p.count * p.move.out;
  }
}

void multiply_across(Panels p, Index rows) { of_height<2>[rows - 1](p); }

template void pack_panel<1>(real*, const Factor&, Index, Index);
template void pack_panel<2>(real*, const Factor&, Index, Index);
template void multiply_down<1>(Panels, Index);
template void multiply_down<2>(Panels, Index);

}  // namespace dsv3
