// SPDX-License-Identifier: MIT
/// \file
/// The innermost loops of every matrix product: a few rows times a panel of columns, with the sums in registers.
#pragma once
#include <Eigen/Core>

#include "reference/core/real.hpp"

namespace dsv3 {

namespace packet = Eigen::internal;  // one vector register of `real` and its instructions, on every machine
using Packet = packet::packet_traits<real>::type;

inline constexpr Index lanes = packet::packet_traits<real>::size;
inline constexpr Index tile_rows = 128,
                       tile_cols = 128;         // of one task: large enough to share panels, small enough for threads
inline constexpr Index panel_cols = 2 * lanes;  // 6 x 2 sums, 2 of the panel and 1 of a: 15 of AVX2's 16 registers
inline constexpr Index block_depth = 256;       // of one call: 16 KiB of a panel stay in the first-level cache

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"  // "may alias", which PacketBlock does not need
using Square = packet::PacketBlock<Packet, lanes>;
#pragma GCC diagnostic pop

/// A matrix as a product reads it: element (i, k), where k is summed over, is data[i * step + k * step_k].
struct Factor {
  const real* data;
  Index step, step_k;
  const real* at(Index i, Index k) const { return data + i * step + k * step_k; }
  Factor from(Index i, Index k) const { return {at(i, k), step, step_k}; }
};

/// What becomes of a sum: it replaces what is there, is added to it, or has gone on from it.
enum class Sums { replace, add, go_on };

/// `count` panels of a product, each `rows` times `packets` sums: out(r, :) becomes sum_k a(r, k) b(k, :), as `sums`
/// says. Row k of b is at b.at(0, k), row r of out at out + r out_step. `next` is brought into the cache meanwhile, one
/// line for each k. From one panel to the next, each of the four moves on by so many values.
struct Panels {
  Index count, depth;
  Factor a, b, next;
  real* out;
  Index out_step, out_ahead;  ///< rows of out that far down are brought into the cache as well
  struct {
    Index a, b, next, out;
  } move;
  Sums sums;
};

template <int rows, int packets>
void multiply_panels(Panels p) {
  for (; p.count > 0; --p.count) {
    Packet sum[rows][packets];
    for (int r = 0; r < rows; ++r) {
      real* const out_r = p.out + r * p.out_step;
      __builtin_prefetch(out_r + p.out_ahead * p.out_step, 0, 2);
      for (int j = 0; j < packets; ++j)
        sum[r][j] = p.sums == Sums::go_on ? packet::ploadu<Packet>(out_r + j * lanes) : packet::pset1<Packet>(0);
    }
    const real *a_k = p.a.data, *b_k = p.b.data, *next_k = p.next.data;
    for (Index k = 0; k < p.depth; ++k, a_k += p.a.step_k, b_k += p.b.step_k, next_k += p.next.step_k) {
      Packet b_row[packets];
      for (int j = 0; j < packets; ++j) b_row[j] = packet::ploadu<Packet>(b_k + j * lanes);
      __builtin_prefetch(next_k, 0, 2);  // the second-level one: the first is full
#pragma GCC unroll 12
      for (int r = 0; r < rows; ++r) {
        const Packet a_rk = packet::pset1<Packet>(a_k[r * p.a.step]);
        for (int j = 0; j < packets; ++j) sum[r][j] = packet::pmadd(a_rk, b_row[j], sum[r][j]);
      }
    }
    for (int r = 0; r < rows; ++r)
      for (int j = 0; j < packets; ++j) {
        real* const to = p.out + r * p.out_step + j * lanes;
        if (p.sums == Sums::add) sum[r][j] = packet::padd(packet::ploadu<Packet>(to), sum[r][j]);
        packet::pstoreu(to, sum[r][j]);
      }
    p.a.data += p.move.a, p.b.data += p.move.b, p.next.data += p.move.next, p.out += p.move.out;
  }
}

}  // namespace dsv3
