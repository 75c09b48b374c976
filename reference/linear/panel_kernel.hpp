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
inline constexpr Index panel_cols = 2 * lanes;  // 6 x 2 sums, 2 of the panel and 1 of a: 15 of AVX2's 16 registers
inline constexpr Index strip_rows = 6;
inline constexpr Index block_depth = 256;  // of one call: 16 KiB of a panel stay in the first-level cache

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

/// Row r of out (rows `out_step` apart), all columns of a panel, becomes (add: grows by) sum_k a(r, k) b(k, :) for
/// `strips` times `rows` rows. Row k of b is at b.at(0, k); what `next` has there is brought into the cache meanwhile.
template <int rows>
void multiply_panel(Index strips, Index depth, Factor a, const Factor& b, const Factor& next, real* out, Index out_step,
                    bool add) {
  constexpr Index rows_ahead = 48;  // far enough for main memory to answer while the rows between are summed
  for (; strips > 0; --strips, a.data += rows * a.step) {
    Packet left[rows], right[rows];
    for (int r = 0; r < rows; ++r) {
      left[r] = right[r] = packet::pset1<Packet>(0);
      __builtin_prefetch(out + (r + rows_ahead) * out_step);
    }
    const real *a_k = a.data, *b_k = b.data, *next_k = next.data;
    for (Index k = 0; k < depth; ++k, a_k += a.step_k, b_k += b.step_k, next_k += next.step_k) {
      const Packet b_left = packet::ploadu<Packet>(b_k), b_right = packet::ploadu<Packet>(b_k + lanes);
      __builtin_prefetch(next_k);
#pragma GCC unroll 6
      for (int r = 0; r < rows; ++r) {
        const Packet a_rk = packet::pset1<Packet>(a_k[r * a.step]);
        left[r] = packet::pmadd(a_rk, b_left, left[r]);
        right[r] = packet::pmadd(a_rk, b_right, right[r]);
      }
    }
    for (int r = 0; r < rows; ++r, out += out_step) {
      if (add) left[r] = packet::padd(packet::ploadu<Packet>(out), left[r]);
      if (add) right[r] = packet::padd(packet::ploadu<Packet>(out + lanes), right[r]);
      packet::pstoreu(out, left[r]);
      packet::pstoreu(out + lanes, right[r]);
    }
  }
}

}  // namespace dsv3
