// SPDX-License-Identifier: MIT
#include "reference/oracle/ops/any_order.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "reference/core/threads.hpp"
#include "reference/linear/fp8_bounds.hpp"
#include "reference/linear/gemm.hpp"

namespace dsv3::oracle {
namespace {

constexpr double u = 0x1p-24;
constexpr double upwards = 1 + 0x1p-12;  // more than the roundings of FP32 sums of 128 magnitudes

/// Magnitudes of an operand's values in one interval, without scales: [size, depth], or their squares.
FloatMatrix magnitudes(const Fp8Part& part, Index k, Index depth, bool squared) {
  FloatMatrix out(part.size, depth);
  for (Index i = 0; i < part.size; ++i)
    for (Index j = 0; j < depth; ++j) {
      const float x = std::abs(part.value(i, k + j));
      out(i, j) = squared ? x * x : x;
    }
  return out;
}

/// What an element has summed up of its intervals.
struct Sums {
  Bounds bound, magnitude, squares;
};

/// What a product of n terms can lose in an interval whose magnitudes add up to T.
double lost(const Accumulation& how, double T, Index n) {
  if (T == 0) return 0;
  const int log_T = static_cast<int>(std::bit_cast<std::uint64_t>(T) >> 52) - 1023;  // floor(log2 T)
  if (how.sum == Accumulation::Sum::exact) return std::ldexp(1.0, log_T - 24);
  if (how.sum == Accumulation::Sum::fp32_chain) return static_cast<double>(n) * std::ldexp(1.0, log_T - 24);
  const Index steps = (n + how.together() - 1) / how.together();
  const int F = std::min(how.fraction_bits, how.output_fraction_bits);
  return static_cast<double>(n + 2 * steps) * std::ldexp(1.0, log_T - F);
}

void add_interval(Sums& sums, const Fp8Part& a, const Fp8Part& b, Index first, Index n, const Accumulation& how) {
  Bounds interval = Bounds::Zero(a.size, b.size);  // sum |p|, in units of its last scale
  const Index last = first + n - 1;
  // One piece, unless scales change inside the interval: then sums of the pieces are carried from one to the next.
  for (Index k = first; k <= last; k += 128) {
    const Index depth = std::min<Index>(128, last + 1 - k);
    FloatMatrix T(a.size, b.size), squares(a.size, b.size);
    multiply_nt(T, magnitudes(a, k, depth, false), magnitudes(b, k, depth, false));
    multiply_nt(squares, magnitudes(a, k, depth, true), magnitudes(b, k, depth, true));
    parallel_for(a.size, [&](Index i) {
      for (Index j = 0; j < b.size; ++j) {
        const double s = std::abs(double{a.scale(i, k)} * b.scale(j, k)), t = T(i, j) * upwards;
        const double unit = n <= 128 ? s : std::abs(double{a.scale(i, last)} * b.scale(j, last));
        interval(i, j) += s == unit ? t : t * (s / unit);
        if (k + depth > last) sums.bound(i, j) += lost(how, interval(i, j), n) * unit;
        sums.magnitude(i, j) += t * s;
        sums.squares(i, j) += squares(i, j) * s * s;
      }
    });
  }
}

/// Puts the bounds of one product behind those of the others; in `spread` sqrt(sum p^2), to be scaled by the typical
/// error of all; in `added_to` what dW's own roundings add, in `own` our own errors. `share` collects
/// (error / sqrt(sum p^2))^2 of the elements that can be counted.
struct Collected {
  Limit limit;
  Doubles added_to, own;
  double share = 0;
  Index counted = 0, depth = 0;

  void add(const AnyOrderProduct& p, const Accumulation& how) {
    const auto& [a, b, ours, exact, begin] = p;
    Sums sums{Bounds::Zero(a.size, b.size), Bounds::Zero(a.size, b.size), Bounds::Zero(a.size, b.size)};
    const Index interval = how.interval == 0 ? std::max<Index>(a.depth, 1) : how.interval;
    const Index intervals = (a.depth + interval - 1) / interval;
    for (Index k = 0; k < a.depth; k += interval) add_interval(sums, a, b, k, std::min(interval, a.depth - k), how);
    if (begin.size() > 0) sums.magnitude += begin.cast<double>().cwiseAbs();
    // Each interval: its scale, the product with it and the addition are rounded.
    const double roundings = static_cast<double>(3 * intervals + 2) * u;
    for (Index i = 0; i < ours.size(); ++i) {
      const double error = std::abs(double{ours.data()[i]} - exact.data()[i]), size = sums.squares.data()[i];
      limit.bound.push_back(sums.bound.data()[i] + roundings * sums.magnitude.data()[i] + error +
                            0x1p-149 * static_cast<double>(intervals));
      limit.spread.push_back(std::sqrt(size));
      added_to.push_back(begin.size() > 0 ? 2 * u * std::abs(begin.data()[i]) : 0);  // ours and theirs round with it
      own.push_back(error);
      if (size > 0 && std::isfinite(error)) share += error * error / size, ++counted;
    }
    depth = std::max(depth, a.depth);
  }
};

}  // namespace

Limit any_order_limit(const std::vector<AnyOrderProduct>& products, const Fp8Arithmetic& how) {
  Collected all;
  for (const AnyOrderProduct& product : products) all.add(product, how.accumulation);
  const double typical = 2 * std::sqrt(all.counted > 0 ? all.share / static_cast<double>(all.counted) : 0);
  const double in_fp32 = 4 * u * std::sqrt(static_cast<double>(all.depth));
  const auto elements = static_cast<double>(all.limit.spread.size());
  const double unlikely = 8 * (1 + 8 / std::sqrt(elements));  // spreads; of few elements little is known
  for (std::size_t i = 0; i < all.limit.spread.size(); ++i) {
    double &spread = all.limit.spread[i], &bound = all.limit.bound[i];
    spread = std::max((typical + in_fp32) * spread + all.added_to[i], 0x1p-149);
    if (std::isfinite(bound)) bound = std::min(bound, unlikely * spread + 4 * all.own[i]);
  }
  return std::move(all.limit);
}

}  // namespace dsv3::oracle
