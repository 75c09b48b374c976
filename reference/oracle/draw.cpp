// SPDX-License-Identifier: MIT
#include "reference/oracle/draw.hpp"

#include <bit>
#include <cmath>
#include <numeric>

namespace dsv3::oracle {
namespace {

template <class F>
FloatMatrix drawn(Index rows, Index cols, const F& draw) {
  FloatMatrix m(rows, cols);
  for (Index i = 0; i < m.size(); ++i) m.data()[i] = static_cast<float>(draw());
  return m;
}

}  // namespace

FloatMatrix normals(Index rows, Index cols, Random& random, double std) {
  return drawn(rows, cols, [&] { return std * random.normal(); });
}

FloatMatrix positives(Index rows, Index cols, Random& random, double std) {
  return drawn(rows, cols, [&] { return std::abs(std * random.normal()); });
}

FloatMatrix rows_of_many_sizes(Index rows, Index cols, Random& random, int spread) {
  FloatMatrix m = normals(rows, cols, random);
  for (Index i = 0; i < rows; ++i)
    m.row(i) *= std::ldexp(1.0f, static_cast<int>(random.below(2 * spread + 1)) - spread);
  return m;
}

Tensor normals(const std::vector<Index>& shape, Random& random, double std, float mean) {
  const auto [rows, cols] = rows_and_cols(shape);
  return tensor((normals(rows, cols, random, std).array() + mean).matrix(), shape);
}

FloatMatrix gains(Index d, Random& random) { return (normals(1, d, random, 0.1).array() + 1).matrix(); }

FloatMatrix random_finite(Index rows, Index cols, Random& random) {
  return drawn(rows, cols, [&] {
    float x = NAN;
    while (!std::isfinite(x)) x = std::bit_cast<float>(static_cast<std::uint32_t>(random.bits() >> 32));
    return x;
  });
}

FloatMatrix sprinkled(FloatMatrix m, const std::vector<float>& values, Index every, Random& random) {
  for (Index i = 0; i < m.size(); ++i)
    if (random.below(every) == 0) m.data()[i] = values[static_cast<std::size_t>(random.below(std::ssize(values)))];
  return m;
}

void set_third_rows_to_zero(FloatMatrix& m) {
  for (Index i = 0; i < m.rows(); i += 3) m.row(i).setZero();
}

FloatMatrix of_kind(const std::string& kind, Index rows, Index cols, Random& random, const Extremes& extremes) {
  const auto& [spread, outlier, every] = extremes;
  if (kind == "one_signed") return positives(rows, cols, random);
  if (kind == "sizes") return rows_of_many_sizes(rows, cols, random, spread);
  FloatMatrix m = normals(rows, cols, random);
  if (kind == "outliers") return sprinkled(std::move(m), {outlier, -outlier}, every, random);
  if (kind == "zeros") set_third_rows_to_zero(m);
  return m;
}

Tensor consecutive(Index first, Index count) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), first);
  return tensor(all, {count});
}

}  // namespace dsv3::oracle
