// SPDX-License-Identifier: MIT
#include "reference/linear/fp8_tile.hpp"

#include <algorithm>
#include <cmath>

namespace dsv3 {
namespace {

namespace packet = Eigen::internal;
using Packet = packet::packet_traits<float>::type;
constexpr Index lanes = packet::packet_traits<float>::size;

constexpr Index tile_rows = 192, tile_cols = 256;  // 96 KiB of a and 192 KiB of sums in the second-level cache
constexpr Index block_depth = 128;                 // 8 KiB of a panel in the first-level cache
constexpr Index exact_rows = 16;                   // whose whole intervals are in the cache

using PanelRow = Eigen::Array<float, fp8_panel, 1>;
using Sum = Accumulation::Sum;

auto kernel_of(Sum sum) {
  return sum == Sum::fp32_chain ? chain_panel : sum == Sum::aligned ? aligned_panel : exact_panel;
}

/// Which rows 0 .. count-1 of a part from `first` on have a code that is NaN or infinite.
std::vector<bool> specials_of(const Fp8Part& part, const Decoder& decode, Index first, Index count) {
  std::vector<bool> special(static_cast<std::size_t>(count), false);
  if (!decode.has_specials()) return special;
  for (Index i = 0; i < count; ++i)
    for (Index k = 0; k < part.depth && !special[i]; ++k) special[i] = !std::isfinite(part.value(first + i, k));
  return special;
}

}  // namespace

/// A tile while it is made. Panels lie one after the other, each [rows][fp8_panel].
struct Fp8TileMaker::Tile {
  Index i, j, rows, cols;
  std::vector<bool> special_rows, special_cols;
  PackedRows a;
  std::vector<float> b;
  std::vector<std::int8_t> b_exponents;
  std::vector<float> acc, sums, s_a;

  Index panels() const { return (cols + fp8_panel - 1) / fp8_panel; }
  Index panel_cols(Index panel) const { return std::min(fp8_panel, cols - panel * fp8_panel); }
  Index panel_size() const { return rows * fp8_panel; }
};

Fp8TileMaker::Fp8TileMaker(const Fp8Part& a, const Fp8Part& b, const Fp8Arithmetic& how, Index interval)
    : a_(a),
      b_(b),
      how_(how),
      interval_(interval),
      rows_(how.accumulation.sum == Sum::exact ? exact_rows : tile_rows),
      cols_(tile_cols),
      depth_(how.accumulation.sum == Sum::exact ? interval
             : how.accumulation.sum == Sum::aligned
                 ? block_depth / how.accumulation.together() * how.accumulation.together()
                 : block_depth),
      decode_a_(*a.operand, how.accumulation.sum != Sum::fp32_chain),
      decode_b_(*b.operand, how.accumulation.sum != Sum::fp32_chain) {}

void Fp8TileMaker::make(FloatOut out, Index i, Index j, Fp8Sums sums) const {
  Tile tile{i,
            j,
            out.rows(),
            out.cols(),
            specials_of(a_, decode_a_, i, out.rows()),
            specials_of(b_, decode_b_, j, out.cols()),
            {},
            {},
            {},
            {},
            {},
            {}};
  const auto size = static_cast<std::size_t>(tile.panels() * tile.panel_size());
  tile.acc.resize(interval_ >= a_.depth ? static_cast<std::size_t>(tile.panel_size()) : size);
  tile.sums.resize(interval_ <= depth_ ? static_cast<std::size_t>(tile.panel_size()) : size);
  tile.s_a.resize(static_cast<std::size_t>(tile.rows));
  if (a_.depth == 0 && sums == Fp8Sums::replace) out.setZero();
  for (Index k = 0; k < a_.depth; k += interval_) sum_interval(tile, out, k, std::min(k + interval_, a_.depth), sums);
}

/// A whole panel goes to its place while it is in the cache.
void Fp8TileMaker::put(const Tile& tile, Index panel, const float* acc, FloatOut out, Fp8Sums sums) const {
  const Index cols = tile.panel_cols(panel);
  for (Index r = 0; r < tile.rows; ++r, acc += fp8_panel) {
    float* const to = &out(r, panel * fp8_panel);
    if (sums == Fp8Sums::replace) std::copy_n(acc, cols, to);
    else if (cols == fp8_panel) Eigen::Map<PanelRow>(to) += Eigen::Map<const PanelRow>(acc);
    else Eigen::Map<Eigen::ArrayXf>(to, cols) += Eigen::Map<const Eigen::ArrayXf>(acc, cols);
  }
}

void Fp8TileMaker::sum_interval(Tile& tile, FloatOut out, Index k0, Index k1, Fp8Sums sums_to_out) const {
  const Index k_s = how_.carries ? k1 - 1 : k0;  // whose scales the sum has in the end
  for (Index r = 0; r < tile.rows; ++r) tile.s_a[r] = a_.scale(tile.i + r, k_s);
  for (Index k = k0; k < k1; k += depth_) {
    const Index depth = std::min(depth_, k1 - k);
    pack_rows(tile.a, decode_a_, a_, tile.i, tile.rows, k, depth);
    const bool aligned = how_.accumulation.sum == Sum::aligned;
    if (aligned) exponents_of(tile.a.exponents, tile.a.a, a_.operand->min_exponent);
    for (Index panel = 0; panel < tile.panels(); ++panel) {
      pack_columns(tile.b, decode_b_, b_, tile.j + panel * fp8_panel, tile.panel_cols(panel), k, depth);
      if (aligned) exponents_of(tile.b_exponents, tile.b, b_.operand->min_exponent);
      float* const sums = &tile.sums[interval_ <= depth_ ? 0 : panel * tile.panel_size()];
      if (how_.carries && k > k0) carry(tile, panel, sums, k);
      kernel_of(how_.accumulation.sum)(
          how_.accumulation, {tile.rows, depth, tile.a, tile.b.data(), tile.b_exponents.data(), sums, k > k0});
      if (k + depth < k1) continue;
      if (how_.accumulation.sum != Sum::fp32_chain) sum_specials(tile, panel, sums, k0, k1);
      float* const acc = &tile.acc[interval_ >= a_.depth ? 0 : panel * tile.panel_size()];
      promote(tile, panel, sums, k0, k_s, acc);
      if (k1 == a_.depth) put(tile, panel, acc, out, sums_to_out);
    }
  }
}

/// The sums so far, from the units of the scales before k to those at k. No sum is near 2^100.
void Fp8TileMaker::carry(const Tile& tile, Index panel, float* sums, Index k) const {
  for (Index r = 0; r < tile.rows; ++r)
    for (Index j = 0; j < tile.panel_cols(panel); ++j) {
      const Index row = tile.i + r, col = tile.j + panel * fp8_panel + j;
      const float before = a_.scale(row, k - 1) * b_.scale(col, k - 1), after = a_.scale(row, k) * b_.scale(col, k);
      float& sum = sums[r * fp8_panel + j];
      if (before != after) sum = std::clamp(sum * before / after, -0x1p100f, 0x1p100f);
    }
}

/// Elements that NaN or infinite codes reach, one at a time.
void Fp8TileMaker::sum_specials(Tile& tile, Index panel, float* sums, Index k0, Index k1) const {
  if (!decode_a_.has_specials() && !decode_b_.has_specials()) return;
  std::vector<float> a(static_cast<std::size_t>(k1 - k0)), b(a);
  for (Index r = 0; r < tile.rows; ++r)
    for (Index j = 0; j < tile.panel_cols(panel); ++j) {
      if (!tile.special_rows[r] && !tile.special_cols[panel * fp8_panel + j]) continue;
      for (Index k = k0; k < k1; ++k) {
        a[k - k0] = a_.value(tile.i + r, k);
        b[k - k0] = b_.value(tile.j + panel * fp8_panel + j, k);
      }
      sums[r * fp8_panel + j] =
          sum_of_products(how_.accumulation, {a, a_.operand->min_exponent}, {b, b_.operand->min_exponent});
    }
}

void Fp8TileMaker::promote(const Tile& tile, Index panel, const float* sums, Index k0, Index k_s, float* acc) const {
  alignas(32) float s_b[fp8_panel]{};
  for (Index j = 0; j < tile.panel_cols(panel); ++j) s_b[j] = b_.scale(tile.j + panel * fp8_panel + j, k_s);
  const bool fresh = k0 == 0, together = how_.order == ScaleOrder::together;
  const float* s_a = tile.s_a.data();
  for (Index r = 0; r < tile.rows; ++r, ++s_a)
    for (Index j = 0; j < fp8_panel; j += lanes, acc += lanes, sums += lanes) {
      const Packet a = packet::pset1<Packet>(*s_a), b = packet::ploadu<Packet>(s_b + j);
      const Packet p = packet::ploadu<Packet>(sums),
                   before = fresh ? packet::pset1<Packet>(0) : packet::ploadu<Packet>(acc);
      packet::pstoreu(acc, together ? packet::pmadd(p, packet::pmul(a, b), before)
                                    : packet::padd(before, packet::pmul(packet::pmul(p, a), b)));
    }
}

}  // namespace dsv3
