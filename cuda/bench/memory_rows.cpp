// SPDX-License-Identifier: MIT
#include "cuda/bench/memory_cases.hpp"
#include "cuda/bench/peers.hpp"
#include "reference/core/require.hpp"

namespace dsv3::cuda::bench {
namespace {

template <class Case>
Calls calls_of(const std::shared_ptr<Case>& c) {
  return {{"ours", [c] { c->call(); }, [c] { return c->wrong(); }, [c] { c->forget(); }}, {copy_call(c->bytes())}};
}

Row quantise_row(const char* name, QuantiseTo to, int rows, int cols) {
  return {concat("quantise ", name), concat(rows, " x ", cols), "TB/s", quantise_bytes(to, rows, cols),
          [=](StopWatch&) { return calls_of(std::make_shared<QuantiseCase>(to, rows, cols, 71)); }};
}

}  // namespace

std::vector<Row> memory_rows(bool quick) {
  constexpr int tokens = 4096, d = 7168;
  std::vector<Row> rows{quantise_row("1x128", QuantiseTo::tiles, tokens, d),
                        quantise_row("128x1 transposed", QuantiseTo::tiles_transposed, tokens, d),
                        quantise_row("128x128", QuantiseTo::blocks, tokens, d)};
  if (!quick) rows.push_back(quantise_row("1x128 large", QuantiseTo::tiles, 4 * tokens, d));
  for (Row& row : rows) row.goal = 2.0;
  return rows;
}

}  // namespace dsv3::cuda::bench
