// SPDX-License-Identifier: MIT
#include "cuda/bench/quantised_result.hpp"

#include <cmath>

#include "cuda/bench/check.hpp"
#include "reference/core/require.hpp"

namespace dsv3::cuda::bench {
namespace {

constexpr int group = 128;

/// Codes lie transposed where the groups do; of scales [r, c] tiles of 1x128 lie M-major, the others row after row.
std::size_t place_of_code(QuantiseTo to, Index i, Index j, int rows, int cols) {
  return static_cast<std::size_t>(to == QuantiseTo::tiles_transposed ? j * rows + i : i * cols + j);
}
std::size_t place_of_scale(QuantiseTo to, Index r, Index c, int rows, int cols) {
  if (to == QuantiseTo::tiles) return static_cast<std::size_t>(c * rows + r);
  return static_cast<std::size_t>(r * (to == QuantiseTo::tiles_transposed ? cols : num_groups(cols, group)) + c);
}

/// Signs apart, codes are in the order of their values.
int steps_apart(int a, int b) { return (a & 0x80) == (b & 0x80) ? std::abs(a - b) : (a & 0x7F) + (b & 0x7F); }

std::string wrong_at(const char* what, Index i, Index j, double have, double want) {
  return concat("wrong: ", what, " (", i, ", ", j, ") is ", have, "; it must be ", want);
}

}  // namespace

Groups groups_of(QuantiseTo to) {
  return to == QuantiseTo::tiles ? tile_1x128 : to == QuantiseTo::tiles_transposed ? tile_128x1 : block_128x128;
}

int num_scales(QuantiseTo to, int rows, int cols) {
  const Groups g = groups_of(to);
  return static_cast<int>(num_groups(rows, g.rows) * num_groups(cols, g.cols));
}

QuantisedResult::QuantisedResult(QuantiseTo to, int rows, int cols)
    : to_(to),
      rows_(rows),
      cols_(cols),
      codes_(static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols)),
      scales_(static_cast<std::size_t>(num_scales(to, rows, cols))) {
  require(rows % 16 == 0 && cols % 16 == 0, "QuantisedResult", "it is [", rows, ", ", cols,
          "]; it needs multiples of 16");
}

Fp8Output QuantisedResult::out() {
  if (to_ == QuantiseTo::tiles) return {codes_.data(), cols_, scales_.data(), rows_};
  if (to_ == QuantiseTo::tiles_transposed) return {codes_.data(), rows_, scales_.data(), cols_};
  return {codes_.data(), cols_, scales_.data(), num_groups(cols_, group)};
}

std::string QuantisedResult::what_is_unwritten() const { return bench::what_is_unwritten(codes_.to_host()); }

std::string QuantisedResult::what_is_wrong(int first, const Quantised& want, double may_differ) const {
  const std::vector<std::uint8_t> codes = codes_.to_host();
  const std::vector<float> scales = scales_.to_host();
  Index different = 0;
  for (Index i = 0; i < want.q.rows(); ++i)
    for (Index j = 0; j < want.q.cols(); ++j) {
      const int have = codes[place_of_code(to_, first + i, j, rows_, cols_)], steps = steps_apart(have, want.q(i, j));
      if (steps > (may_differ > 0 ? 1 : 0)) return wrong_at("code", first + i, j, have, want.q(i, j));
      different += steps;
    }
  if (static_cast<double>(different) > may_differ * static_cast<double>(want.q.size()))
    return concat("wrong: ", different, " of ", want.q.size(), " codes differ by a step");
  for (Index r = 0; r < want.s.rows(); ++r)
    for (Index c = 0; c < want.s.cols(); ++c) {
      const Index row = first / want.groups.rows + r;
      const float have = scales[place_of_scale(to_, row, c, rows_, cols_)], off = std::abs(have - want.s(r, c));
      if (!(off <= (may_differ > 0 ? 0x1p-7f * want.s(r, c) : 0))) return wrong_at("scale", row, c, have, want.s(r, c));
    }
  return {};
}

}  // namespace dsv3::cuda::bench
