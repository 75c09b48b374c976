// SPDX-License-Identifier: MIT
#include "reference/optim/clip.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "reference/core/require.hpp"
#include "reference/core/threads.hpp"

namespace dsv3 {
namespace {

constexpr Index kBlock = 8192;

/// Eight independent sums, so that the loop is not a chain of dependent additions.
double sum_of_squares(const real* x, Index count) {
  std::array<double, 8> sums{};
  Index i = 0;
  for (; i + 8 <= count; i += 8)
    for (std::size_t lane = 0; lane < 8; ++lane) {
      const double value = x[i + static_cast<Index>(lane)];
      sums[lane] += value * value;
    }
  for (std::size_t lane = 0; i < count; ++i, ++lane) sums[lane] += double{x[i]} * x[i];
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

}  // namespace

double global_norm(const std::vector<NamedTensor>& gradients) {
  struct Block {
    const real* values;
    Index count;
  };
  std::vector<Block> blocks;
  for (const NamedTensor& tensor : gradients)
    for (Index begin = 0; tensor.role != Role::bias && begin < tensor.value->size(); begin += kBlock)
      blocks.push_back({tensor.value->data() + begin, std::min(kBlock, tensor.value->size() - begin)});
  std::vector<double> sums(blocks.size());
  parallel_for(std::ssize(blocks), [&](Index b) {
    const auto i = static_cast<std::size_t>(b);
    sums[i] = sum_of_squares(blocks[i].values, blocks[i].count);
  });
  return std::sqrt(std::accumulate(sums.begin(), sums.end(), 0.0));
}

double clip_factor(double norm, double max_norm) {
  require(std::isfinite(max_norm) && max_norm > 0, "clip_factor", "max_norm is ", max_norm,
          "; it must be finite and > 0");
  require(!(norm < 0), "clip_factor", "norm is ", norm, "; a norm is not negative");
  if (!std::isfinite(norm)) return std::numeric_limits<double>::quiet_NaN();
  return norm <= max_norm ? 1 : max_norm / norm;
}

}  // namespace dsv3
