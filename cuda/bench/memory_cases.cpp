// SPDX-License-Identifier: MIT
#include "cuda/bench/memory_cases.hpp"

#include <algorithm>

#include "cuda/bench/check.hpp"
#include "reference/core/require.hpp"
#include "reference/formats/bf16.hpp"
#include "reference/formats/quantise.hpp"

namespace dsv3::cuda::bench {
namespace {

constexpr int group = 128;

Groups groups_of(QuantiseTo to) {
  return to == QuantiseTo::tiles ? tile_1x128 : to == QuantiseTo::tiles_transposed ? tile_128x1 : block_128x128;
}

int num_scales(QuantiseTo to, int rows, int cols) {
  const Groups g = groups_of(to);
  return static_cast<int>(num_groups(rows, g.rows) * num_groups(cols, g.cols));
}

/// What stands first in memory: codes [rows, cols] lie transposed where the groups do; of scales [r, c] tiles of 1x128
/// lie M-major, those of 128x1 along the columns, blocks row after row.
std::size_t place_of_code(QuantiseTo to, Index i, Index j, int rows, int cols) {
  return static_cast<std::size_t>(to == QuantiseTo::tiles_transposed ? j * rows + i : i * cols + j);
}
std::size_t place_of_scale(QuantiseTo to, Index r, Index c, int rows, int cols) {
  if (to == QuantiseTo::tiles) return static_cast<std::size_t>(c * rows + r);
  return static_cast<std::size_t>(r * (to == QuantiseTo::tiles_transposed ? cols : num_groups(cols, group)) + c);
}

}  // namespace

QuantiseCase::QuantiseCase(QuantiseTo to, int rows, int cols, std::uint64_t seed)
    : to_(to),
      rows_(rows),
      cols_(cols),
      host_x_(random_bf16(std::int64_t{rows} * cols, seed)),
      x_(host_x_),
      codes_(host_x_.size()),
      scales_(static_cast<std::size_t>(num_scales(to, rows, cols))) {
  require(rows % 16 == 0 && cols % 16 == 0, "QuantiseCase", "x is [", rows, ", ", cols, "]; it needs multiples of 16");
}

double quantise_bytes(QuantiseTo to, int rows, int cols) {
  return 3.0 * rows * cols + 4.0 * num_scales(to, rows, cols);
}

void QuantiseCase::call() {
  const Bf16Rows x{x_.data(), rows_, cols_, cols_};
  if (to_ == QuantiseTo::tiles) quantise_1x128(x, {codes_.data(), cols_, scales_.data(), rows_}, Scale::fp32);
  else if (to_ == QuantiseTo::tiles_transposed)
    quantise_128x1_transposed(x, {codes_.data(), rows_, scales_.data(), cols_}, Scale::fp32);
  else quantise_128x128(x, {codes_.data(), cols_, scales_.data(), num_groups(cols_, group)}, nullptr, Scale::fp32);
}

std::string QuantiseCase::wrong_rows(int first, int count) const {
  FloatMatrix x(count, cols_);
  for (Index i = 0; i < count; ++i)
    for (Index j = 0; j < cols_; ++j)
      x(i, j) = float_from_bf16(host_x_[static_cast<std::size_t>((first + i) * cols_ + j)]);
  const Quantised want = quantise(x, {.groups = groups_of(to_)});
  const std::vector<std::uint8_t> codes = codes_.to_host();
  const std::vector<float> scales = scales_.to_host();
  for (Index i = 0; i < count; ++i)
    for (Index j = 0; j < cols_; ++j) {
      const int have = codes[place_of_code(to_, first + i, j, rows_, cols_)];
      if (have != want.q(i, j))
        return concat("wrong: code (", first + i, ", ", j, ") is ", have, "; it must be ", int{want.q(i, j)});
    }
  for (Index r = 0; r < want.s.rows(); ++r)
    for (Index c = 0; c < want.s.cols(); ++c) {
      const Index row = first / want.groups.rows + r;
      const float have = scales[place_of_scale(to_, row, c, rows_, cols_)];
      if (!(have == want.s(r, c)))
        return concat("wrong: scale (", row, ", ", c, ") is ", have, "; it must be ", want.s(r, c));
    }
  return {};
}

std::string QuantiseCase::wrong() const {
  if (std::string unwritten = what_is_unwritten(codes_.to_host()); !unwritten.empty()) return unwritten;
  const int last = (rows_ - 1) / group * group;
  std::string found = wrong_rows(0, std::min(rows_, group));
  return found.empty() ? wrong_rows(last, rows_ - last) : found;
}

}  // namespace dsv3::cuda::bench
