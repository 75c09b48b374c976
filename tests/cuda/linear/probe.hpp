// SPDX-License-Identifier: MIT
/// \file
/// A device's tensor core against the bit-faithful model, class by class of dot products.
#pragma once
#include <optional>
#include <vector>

#include "cuda/linear/tensor_core.hpp"
#include "tests/support/dot_products.hpp"

namespace dsv3::test {

/// A dot product on which the two differ: codes of a and b, the register before, and both results.
struct Disagreement {
  std::vector<std::uint8_t> a, b;
  float c, device, model;
};

struct Agreement {
  Index dots = 0, equal = 0;
  std::optional<Disagreement> first;
};

inline std::vector<DotTile> draw_tiles(const DotClass& of, FormatId format, Index count, std::uint64_t seed) {
  Random random = stream(seed, of.name);
  std::vector<DotTile> tiles;
  for (Index i = 0; i < count; ++i) tiles.push_back(draw_tile(of, format, random));
  return tiles;
}

/// The device's sums of tiles of one format and one number of steps, tile by tile, row by row.
inline std::vector<float> on_device(const std::vector<DotTile>& tiles) {
  std::vector<std::uint8_t> a, b;
  std::vector<float> c;
  for (const DotTile& tile : tiles) {
    a.insert(a.end(), tile.a.begin(), tile.a.end());
    b.insert(b.end(), tile.b.begin(), tile.b.end());
    c.insert(c.end(), tile.c.begin(), tile.c.end());
  }
  const cuda::Buffer<std::uint8_t> a_buffer(a), b_buffer(b);
  const cuda::Buffer<float> c_buffer(c);
  cuda::Buffer<float> d(c.size());
  cuda::wgmma_steps({static_cast<int>(tiles.size()), static_cast<int>(tiles.front().steps),
                     tiles.front().format == FormatId::e4m3 ? cuda::ProbeFormat::e4m3 : cuda::ProbeFormat::e5m2,
                     a_buffer.data(), b_buffer.data(), c_buffer.data(), d.data()});
  cuda::synchronise();
  return d.to_host();
}

inline Agreement compare(const std::vector<DotTile>& tiles, std::span<const float> device) {
  Agreement result;
  for (const DotTile& tile : tiles) {
    const std::vector<float> model = modelled(tile);
    for (Index at = 0; at < dots_of_tile; ++at, ++result.dots) {
      const float found = device[static_cast<std::size_t>(result.dots)];
      const bool same = agree(found, model[at]);
      result.equal += same;
      if (same || result.first) continue;
      const auto a = tile.a_row(at / dot_cols), b = tile.b_row(at % dot_cols);
      result.first = {{a.begin(), a.end()}, {b.begin(), b.end()}, tile.c[at], found, model[at]};
    }
  }
  return result;
}

/// One class in one format; `tiles`: of a class whose share is whole.
inline Agreement ask(const DotClass& of, FormatId format, Index tiles, std::uint64_t seed) {
  const auto drawn = draw_tiles(of, format, std::max<Index>(1, tiles * of.share / 8), seed);
  return compare(drawn, on_device(drawn));
}

}  // namespace dsv3::test
