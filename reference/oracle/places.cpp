// SPDX-License-Identifier: MIT
#include "reference/oracle/places.hpp"

#include <algorithm>

#include "reference/core/require.hpp"

namespace dsv3::oracle {
namespace {

/// What is known of the elements outside: how many in each row and column of the tensor as a matrix.
struct Count {
  Shape shape;
  std::vector<Index> in_row, in_col;
  Index all = 0;
};

Count count(const std::vector<Index>& shape, const std::function<bool(Index)>& is_outside) {
  Count c{.shape = rows_and_cols(shape), .in_row = {}, .in_col = {}};
  c.in_row.resize(c.shape.rows), c.in_col.resize(c.shape.cols);
  for (Index i = 0; i < c.shape.rows * c.shape.cols; ++i)
    if (is_outside(i)) ++c.in_row[i / c.shape.cols], ++c.in_col[i % c.shape.cols], ++c.all;
  return c;
}

/// The lines (rows or columns) with elements outside, if they are some of a kind.
void add_lines(std::vector<Place>& places, const std::vector<Index>& in_line, Index line_length, const char* what,
               Index all) {
  constexpr Index block = 128;
  const Index n = std::ssize(in_line);
  std::vector<Index> hit;
  for (Index i = 0; i < n; ++i)
    if (in_line[i] > 0) hit.push_back(i);
  if (std::ssize(hit) == n) return;
  const auto all_are = [&](const auto& is) { return std::ranges::all_of(hit, is); };
  const auto add = [&](const std::string& where, Index lines) { places.push_back({where, all, lines * line_length}); };
  const Index last = (n - 1) / block * block;  // where the last block begins
  if (hit.size() == 1) add(concat(what, " ", hit[0]), 1);
  else if (last > 0 && hit.front() >= last)
    add(concat("the last ", n - last, " ", what, "s, a block of their own"), n - last);
  else if (n > block && hit.back() < block) add(concat("the first ", block, " ", what, "s"), block);
  else if (n > block && all_are([&](Index i) { return i % block == 0; }))
    add(concat("first ", what, "s of blocks of 128"), (n + block - 1) / block);
  else if (n > block && all_are([&](Index i) { return i % block == block - 1 || i == n - 1; }))
    add(concat("last ", what, "s of blocks of 128"), (n + block - 1) / block);
  else if (std::ssize(hit) <= n / 8)
    add(concat(hit.size(), " of ", n, " ", what, "s, ", hit[0], " the first"), std::ssize(hit));
  else if (all_are([](Index i) { return i % 2 == 1; })) add(concat("odd ", what, "s"), n / 2);
  else if (all_are([](Index i) { return i % 2 == 0; })) add(concat("even ", what, "s"), (n + 1) / 2);
  else if (hit.front() >= n / 2) add(concat("the second half of the ", what, "s"), n - n / 2);
  else if (hit.back() < (n + 1) / 2) add(concat("the first half of the ", what, "s"), (n + 1) / 2);
}

}  // namespace

std::vector<Index> index_of(Index flat, const std::vector<Index>& shape) {
  std::vector<Index> index(shape.size());
  for (std::size_t d = shape.size(); d-- > 0; flat /= shape[d]) index[d] = flat % shape[d];
  return index;
}

std::vector<Place> places_of(const std::vector<Index>& shape, const std::function<bool(Index)>& is_outside) {
  const Count c = count(shape, is_outside);
  std::vector<Place> places;
  add_lines(places, c.in_row, c.shape.cols, "row", c.all);
  add_lines(places, c.in_col, c.shape.rows, "column", c.all);
  if (places.empty()) places.push_back({"everywhere", c.all, c.shape.rows * c.shape.cols});
  std::ranges::stable_sort(places, {}, &Place::all);
  return places;
}

}  // namespace dsv3::oracle
