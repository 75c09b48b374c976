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
  return {concat("quantise ", name),
          concat(rows, " x ", cols),
          "TB/s",
          quantise_bytes(to, rows, cols),
          [=](StopWatch&) { return calls_of(std::make_shared<QuantiseCase>(to, rows, cols, 71)); },
          2.0};
}

Row swiglu_row(int rows, int f) {
  return {"swiglu quantise",
          concat(rows, " x 2 x ", f),
          "TB/s",
          SwigluCase::bytes(rows, f),
          [=](StopWatch&) { return calls_of(std::make_shared<SwigluCase>(rows, f, 81)); },
          2.0};
}

Row rms_norm_row(int rows, int d) {
  return {"rms_norm quantise",
          concat(rows, " x ", d),
          "TB/s",
          RmsNormCase::bytes(rows, d),
          [=](StopWatch&) { return calls_of(std::make_shared<RmsNormCase>(rows, d, 91)); },
          2.0};
}

}  // namespace

std::vector<Row> memory_rows(bool quick) {
  constexpr int tokens = 4096, d = 7168, of_experts = 31104, f = 2048;  // rows that 32 experts may get, in 16s
  std::vector<Row> rows{quantise_row("1x128", QuantiseTo::tiles, tokens, d),
                        quantise_row("128x1 transposed", QuantiseTo::tiles_transposed, tokens, d),
                        quantise_row("128x128", QuantiseTo::blocks, tokens, d), swiglu_row(of_experts, f),
                        rms_norm_row(tokens, d)};
  if (!quick) rows.push_back(quantise_row("1x128 large", QuantiseTo::tiles, 4 * tokens, d));
  return rows;
}

}  // namespace dsv3::cuda::bench
