// SPDX-License-Identifier: MIT
/// \file
/// Which tile of a product a block of threads computes next, and how wide tiles are: arithmetic alone.
#pragma once
#include <cstdint>

#include "cuda/core/kernel.cuh"

namespace dsv3::cuda {

inline constexpr int tile_rows = 128;   ///< of out: 64 for each of two warpgroups
inline constexpr int step_depth = 128;  ///< products along K between two promotions

/// Tiles of out in rows and columns of tiles, and as many rows at a time as `band`.
struct TileGrid {
  int down, across;
  int band = 8;
  DSV3_BOTH int count() const { return down * across; }
};

/// A tile's place in units of tiles.
struct TilePlace {
  int row, col;
};

/// The order in which tiles are computed: `band` rows of tiles, column by column, then the next. Tiles computed at the
/// same time so share their rows of a and b in the L2 cache.
DSV3_BOTH TilePlace place_of(int index, const TileGrid& grid) {
  const int whole_band = grid.band * grid.across, first = index / whole_band * grid.band, in_band = index % whole_band;
  const int rows = grid.down - first < grid.band ? grid.down - first : grid.band;
  return {first + in_band % rows, in_band / rows};
}

/// What a block has to do: out(out_row .., col ..) of `rows` x `cols` values that exist, from a's rows at a_row, b's
/// rows at b_row, over `steps` steps of K from first_step on. For experts: the number of one. Nothing to do: rows = 0.
struct Tile {
  int a_row = 0, b_row = 0, out_row = 0, col = 0, rows = 0, cols = 0, first_step = 0, steps = 0, expert = 0;
  bool is_last = false;  ///< there is no tile of this index, nor of a larger one
};

/// One product, or ("contiguous") one of all experts whose rows of a follow each other.
struct RowSchedule {
  int M, N, K, width;  ///< width: columns of a tile
  TileGrid grid;
  const int* expert_of_block = nullptr;  ///< of each 128 rows; null: one product

  DSV3_BOTH static RowSchedule of(int M, int N, int K, int width, const int* expert_of_block = nullptr) {
    return {M, N, K, width, {ceil_div(M, tile_rows), ceil_div(N, width)}, expert_of_block};
  }
  DSV3_BOTH int count() const { return grid.count(); }
  DSV3_BOTH Tile tile(int index) const {
    if (index >= count()) return {.is_last = true};
    const TilePlace place = place_of(index, grid);
    const int row = place.row * tile_rows, col = place.col * width;
    const int expert = expert_of_block == nullptr ? 0 : expert_of_block[place.row];
    const int rows = M - row < tile_rows ? M - row : tile_rows, cols = N - col < width ? N - col : width;
    return {.a_row = row,
            .b_row = expert * N + col,
            .out_row = row,
            .col = col,
            .rows = expert < 0 ? 0 : rows,
            .cols = cols,
            .steps = ceil_div(K, step_depth),
            .expert = expert};
  }
};

/// "Masked": each expert has M rows of a and out, of which the first used[expert] count.
struct MaskedSchedule {
  int M, N, K, width, num_experts;
  const int* used;

  DSV3_BOTH int count() const { return num_experts * ceil_div(M, tile_rows) * ceil_div(N, width); }  // at most
  DSV3_BOTH Tile tile(int index) const {
    const int across = ceil_div(N, width);
    for (int expert = 0; expert < num_experts; ++expert) {
      const int here = ceil_div(used[expert], tile_rows) * across;
      if (index >= here) {
        index -= here;
        continue;
      }
      const TilePlace place = place_of(index, {ceil_div(used[expert], tile_rows), across});
      const int row = place.row * tile_rows, col = place.col * width, left = used[expert] - row;
      return {.a_row = expert * M + row,
              .b_row = expert * N + col,
              .out_row = expert * M + row,
              .col = col,
              .rows = left < tile_rows ? left : tile_rows,
              .cols = N - col < width ? N - col : width,
              .steps = ceil_div(K, step_depth),
              .expert = expert};
    }
    return {.is_last = true};
  }
};

/// "K-grouped": each expert has an M x N matrix of out and the steps of its tokens, all of which begin a step.
struct DepthSchedule {
  int M, N, K, width, num_experts;
  const int* begin = nullptr;  ///< of each expert's tokens, and their end; null: one product over all K

  DSV3_BOTH TileGrid grid() const { return {ceil_div(M, tile_rows), ceil_div(N, width)}; }
  DSV3_BOTH int count() const { return num_experts * grid().count(); }
  DSV3_BOTH Tile tile(int index) const {
    if (index >= count()) return {.is_last = true};
    const int expert = index / grid().count();
    const TilePlace place = place_of(index % grid().count(), grid());
    const int row = place.row * tile_rows, col = place.col * width;
    const int first = begin == nullptr ? 0 : begin[expert], last = begin == nullptr ? K : begin[expert + 1];
    return {.a_row = row,
            .b_row = col,
            .out_row = expert * M + row,
            .col = col,
            .rows = first == last         ? 0
                    : M - row < tile_rows ? M - row
                                          : tile_rows,
            .cols = N - col < width ? N - col : width,
            .first_step = first / step_depth,
            .steps = ceil_div(last - first, step_depth),
            .expert = expert};
  }
};

/// Widths that are compiled.
inline constexpr int tile_widths[] = {64, 96, 128, 160};

/// How long a product takes with tiles of that width, in cycles of a multiprocessor; what matters is which is least.
/// Of a tile: a step takes as long as its products (4096 multiply-adds of FP8 a cycle) or as its bytes from the L2
/// cache, whichever is longer; its end as long as its results need. Of the product: as many tiles one after the other
/// as a multiprocessor gets. What the cache gives is a guess until a device has been measured.
inline constexpr int l2_bytes_per_cycle = 32;
DSV3_BOTH std::int64_t cycles(int M, int N, int K, int width, int multiprocessors) {
  const std::int64_t steps = ceil_div(K, step_depth), tiles = std::int64_t{ceil_div(M, tile_rows)} * ceil_div(N, width);
  const std::int64_t products = std::int64_t{tile_rows} * width * step_depth / 4096;
  const std::int64_t bytes = std::int64_t{tile_rows + width} * step_depth / l2_bytes_per_cycle;
  const std::int64_t tile =
      steps * (products > bytes ? products : bytes) + std::int64_t{tile_rows} * width * 2 / l2_bytes_per_cycle;
  return ceil_div(tiles, std::int64_t{multiprocessors}) * tile;
}

/// The width that takes the fewest cycles; of equals the widest, which reads least.
constexpr int best_width(int M, int N, int K, int multiprocessors) {
  int best = tile_widths[0];
  for (const int width : tile_widths)
    if (cycles(M, N, K, width, multiprocessors) <= cycles(M, N, K, best, multiprocessors)) best = width;
  return best;
}

}  // namespace dsv3::cuda
