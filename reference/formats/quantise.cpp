// SPDX-License-Identifier: MIT
#include "reference/formats/quantise.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "reference/core/require.hpp"
#include "reference/core/threads.hpp"
#include "reference/formats/cast_lanes.hpp"
#include "reference/formats/e5m6.hpp"

namespace dsv3 {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// Magnitudes as integers: they are ordered alike, and a NaN is above infinity.
std::uint32_t magnitude(float x) { return std::bit_cast<std::uint32_t>(x) & 0x7FFF'FFFFu; }

/// x, the groups it is cut into, and how values of one group become codes.
class Grouped {
 public:
  Grouped(const FloatView& matrix, const Quantisation& quantisation)
      : x(matrix), how(quantisation), lane_(format(how.format), Overflow::saturate) {
    require(how.groups.rows >= 1 && how.groups.cols >= 1, "quantise", "the groups are [", how.groups.rows, ", ",
            how.groups.cols, "]");
    require(format(how.format).sign != Sign::none, "quantise", format(how.format).name, " has no negative numbers");
  }

  Index num_bands() const { return num_groups(x.rows(), how.groups.rows); }
  Index num_in_band() const { return num_groups(x.cols(), how.groups.cols); }
  Index first_row(Index band) const { return band * how.groups.rows; }
  Index last_row(Index band) const { return std::min(first_row(band) + how.groups.rows, x.rows()); }
  Index first_col(Index group) const { return group * how.groups.cols; }
  Index width(Index group) const { return std::min(how.groups.cols, x.cols() - first_col(group)); }
  const float* at(Index row, Index col) const { return x.data() + row * x.outerStride() + col; }

  /// f(band) for all bands, on all threads.
  template <class F>
  void for_each_band(const F& f) const {
    parallel_rows(
        num_bands(),
        [&](Index begin, Index count) {
          for (Index band = begin; band < begin + count; ++band) f(band);
        },
        std::max<Index>(16 / how.groups.rows, 1));
  }

  GroupScale scale_of(Index band, Index group) const {
    std::uint32_t amax = 0;
    for (Index i = first_row(band); i < last_row(band); ++i) {
      const float* const values = at(i, first_col(group));
      for (Index j = 0; j < width(group); ++j) amax = std::max(amax, magnitude(values[j]));
    }
    return scale_of_amax(amax, band, group);
  }

  /// scale_of of groups one column wide, side by side.
  std::vector<GroupScale> scales_of_columns(Index band) const {
    std::vector<std::uint32_t> amax(static_cast<std::size_t>(x.cols()));
    for (Index i = first_row(band); i < last_row(band); ++i) {
      const float* const values = at(i, 0);
      for (std::size_t j = 0; j < amax.size(); ++j) amax[j] = std::max(amax[j], magnitude(values[j]));
    }
    std::vector<GroupScale> scales(amax.size());
    for (std::size_t j = 0; j < amax.size(); ++j) scales[j] = scale_of_amax(amax[j], band, static_cast<Index>(j));
    return scales;
  }

  /// encode(y(j)) of n neighbours from (row, col) on; y is x, scaled.
  template <class Y, class Code>
  void encode_row(Index row, Index col, Index n, const Y& y, Code* q) const {
    if (uses_lane()) {
      const EncodeLane lane = lane_;  // a copy that the codes written cannot alias
      for (Index j = 0; j < n; ++j) q[j] = static_cast<Code>(lane(y(j)));
      return;
    }
    if (casts_by_tile_kernels()) {
      for (Index j = 0; j < n; ++j) q[j] = static_cast<Code>(e5m6_by_tile_kernels(y(j)));
      return;
    }
    const auto first = static_cast<std::uint64_t>(row * x.cols() + col);
    for (Index j = 0; j < n; ++j)
      q[j] = static_cast<Code>(encode(how.format, y(j), how.rounding, Overflow::saturate,
                                      random_bits(how.seed, first + static_cast<std::uint64_t>(j))));
  }

  const FloatView& x;
  const Quantisation& how;

 private:
  bool casts_by_tile_kernels() const { return how.dialect == Dialect::tile_kernels && how.format == FormatId::e5m6; }
  bool uses_lane() const {
    return how.rounding == Rounding::nearest_even && has_encode_lane(how.format) && !casts_by_tile_kernels();
  }

  GroupScale scale_of_amax(std::uint32_t amax, Index band, Index group) const {
    const float largest = amax > magnitude(infinity) ? amax_with_nan(band, group) : std::bit_cast<float>(amax);
    return group_scale(largest, format(how.format), how.dialect, how.scale);
  }

  /// A NaN makes a group as useless as an infinity does, but in TransformerEngine, whose fmaxf passes over it.
  float amax_with_nan(Index band, Index group) const {
    if (how.dialect != Dialect::transformer_engine || how.scale == ScaleKind::ocp_floor) return infinity;
    float amax = 0;
    for (Index i = first_row(band); i < last_row(band); ++i)
      for (Index j = 0; j < width(group); ++j) amax = std::fmax(amax, std::abs(at(i, first_col(group))[j]));
    return amax;
  }

  EncodeLane lane_;
};

template <class Result>
void quantise_group(const Grouped& grouped, Index band, Index group, Result& result) {
  using Code = typename decltype(Result::q)::Scalar;
  const GroupScale scale = grouped.scale_of(band, group);
  result.s(band, group) = scale.s;
  const Index col = grouped.first_col(group), n = grouped.width(group);
  for (Index i = grouped.first_row(band); i < grouped.last_row(band); ++i) {
    const float* const x = grouped.at(i, col);
    Code* const q = &result.q(i, col);
    if (std::isnan(scale.s)) std::fill_n(q, n, static_cast<Code>(encode(result.format, nan)));
    else if (scale.divide)
      grouped.encode_row(
          i, col, n, [x, s = scale.s](Index j) { return x[j] / s; }, q);
    else
      grouped.encode_row(
          i, col, n, [x, factor = scale.factor](Index j) { return x[j] * factor; }, q);
  }
}

/// Groups one column wide: the same numbers, row by row as they lie in memory.
template <class Result>
void quantise_columns(const Grouped& grouped, Index band, Result& result) {
  using Code = typename decltype(Result::q)::Scalar;
  const std::vector<GroupScale> scales = grouped.scales_of_columns(band);
  const Index n = std::ssize(scales);
  FloatMatrix by(1, n);
  for (Index j = 0; j < n; ++j) {
    const GroupScale& scale = scales[static_cast<std::size_t>(j)];
    result.s(band, j) = scale.s;
    by(j) = scale.divide ? scale.s : scale.factor;
  }
  const bool divide = std::any_of(scales.begin(), scales.end(), [](const GroupScale& s) { return s.divide; });
  const bool any_nan = by.hasNaN();
  for (Index i = grouped.first_row(band); i < grouped.last_row(band); ++i) {
    const float* const x = grouped.at(i, 0);
    const float* const b = by.data();
    Code* const q = &result.q(i, 0);
    if (divide)
      grouped.encode_row(
          i, 0, n, [x, b](Index j) { return x[j] / b[j]; }, q);
    else
      grouped.encode_row(
          i, 0, n, [x, b](Index j) { return x[j] * b[j]; }, q);
    if (any_nan)
      for (Index j = 0; j < n; ++j) q[j] = std::isnan(b[j]) ? static_cast<Code>(encode(result.format, nan)) : q[j];
  }
}

template <class Result>
Result quantise_as(const FloatView& x, const Quantisation& how) {
  constexpr int code_bits = 8 * sizeof(typename decltype(Result::q)::Scalar);
  const Grouped grouped(x, how);
  require(format(how.format).bits() <= code_bits, "quantise", format(how.format).name, " has codes of ",
          format(how.format).bits(), " bits, not ", code_bits);
  Result result{.q = {}, .s = {}, .groups = how.groups, .format = how.format};
  result.q.resize(x.rows(), x.cols());
  result.s.resize(grouped.num_bands(), grouped.num_in_band());
  if (x.size() == 0) return result;
  grouped.for_each_band([&](Index band) {
    if (how.groups.cols == 1) return quantise_columns(grouped, band, result);
    for (Index group = 0; group < grouped.num_in_band(); ++group) quantise_group(grouped, band, group, result);
  });
  return result;
}

/// A row times its scales, each of which belongs to `width` neighbours.
void multiply(float* row, Index n, const float* s, Index width) {
  if (width == 1) {
    for (Index j = 0; j < n; ++j) row[j] *= s[j];
    return;
  }
  for (Index begin = 0; begin < n; begin += width, ++s)
    for (Index j = begin; j < std::min(begin + width, n); ++j) row[j] *= *s;
}

template <class Quantised>
FloatMatrix dequantise_any(const Quantised& x) {
  using Code = typename decltype(x.q)::Scalar;
  require(x.groups.rows >= 1 && x.groups.cols >= 1, "dequantise", "groups are ", x.groups.rows, " by ", x.groups.cols,
          "; they must be at least 1 by 1");
  require(x.s.rows() == num_groups(x.q.rows(), x.groups.rows) && x.s.cols() == num_groups(x.q.cols(), x.groups.cols),
          "dequantise", "the scales are [", x.s.rows(), ", ", x.s.cols(), "]; one per group is needed");
  FloatMatrix values(x.q.rows(), x.q.cols());
  parallel_rows(x.q.rows(), [&](Index begin, Index count) {
    for (Index i = begin; i < begin + count; ++i) {
      const auto n = static_cast<std::size_t>(x.q.cols());
      float* const row = values.data() + i * x.q.cols();
      decode(x.format, std::span<const Code>(x.q.data() + i * x.q.cols(), n), std::span(row, n));
      multiply(row, x.q.cols(), x.s.data() + i / x.groups.rows * x.s.cols(), x.groups.cols);
    }
  });
  return values;
}

}  // namespace

Quantised quantise(const FloatView& x, const Quantisation& how) { return quantise_as<Quantised>(x, how); }

Quantised16 quantise16(const FloatView& x, const Quantisation& how) { return quantise_as<Quantised16>(x, how); }

Scales scales_of(const FloatView& x, const Quantisation& how) {
  const Grouped grouped(x, how);
  Scales s(grouped.num_bands(), grouped.num_in_band());
  grouped.for_each_band([&](Index band) {
    for (Index group = 0; group < s.cols(); ++group) s(band, group) = grouped.scale_of(band, group).s;
  });
  return s;
}

FloatMatrix dequantise(const Quantised& x) { return dequantise_any(x); }

FloatMatrix dequantise(const Quantised16& x) { return dequantise_any(x); }

Quantised transposed(const Quantised& x) {
  return {.q = x.q.transpose(),
          .s = x.s.transpose(),
          .groups = {.rows = x.groups.cols, .cols = x.groups.rows},
          .format = x.format};
}

Quantised requantise(const Quantised& x, const Quantisation& how) { return quantise(dequantise(x), how); }

}  // namespace dsv3
