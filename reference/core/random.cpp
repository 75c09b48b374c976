// SPDX-License-Identifier: MIT
#include "reference/core/random.hpp"

#include <cmath>
#include <numbers>

#include "reference/core/require.hpp"

namespace dsv3 {

std::uint64_t Random::bits() {
  std::uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

double Random::uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }

double Random::normal() {
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));  // 1 - u is in (0, 1]: the logarithm is finite
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

Index Random::below(Index n) {
  require(n >= 1, "Random::below", "n is ", n, "; it must be at least 1");
  const auto range = static_cast<std::uint64_t>(n);
  const std::uint64_t whole = UINT64_MAX - UINT64_MAX % range;  // the largest multiple: no value is favoured
  std::uint64_t drawn = bits();
  while (drawn >= whole) drawn = bits();
  return static_cast<Index>(drawn % range);
}

Random stream(std::uint64_t seed, std::uint64_t index) {
  return Random(Random(seed).bits() ^ Random(index + 0xD1B54A32D192ED03u).bits());
}

Random stream(std::uint64_t seed, std::string_view name) {
  std::uint64_t hash = 0xCBF29CE484222325u;  // FNV-1a
  for (const unsigned char c : name) hash = (hash ^ c) * 0x100000001B3u;
  return stream(seed, hash);
}

Matrix normal_matrix(Index rows, Index cols, double std, Random& random) {
  Matrix m(rows, cols);
  for (Index i = 0; i < m.size(); ++i) m.data()[i] = static_cast<real>(std * random.normal());
  return m;
}

}  // namespace dsv3
