// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <omp.h>

#include <memory>

#include "reference/cli/bench.hpp"
#include "reference/core/random.hpp"
#include "reference/formats/e4m3.hpp"
#include "reference/linear/fp8_gemm.hpp"

namespace dsv3::cli {
namespace {

/// Random finite E4M3 codes with scales near 1.
struct Coded {
  Coded(Index rows, Index cols, Groups layout, std::uint64_t seed)
      : q(rows, cols),
        s((rows + layout.rows - 1) / layout.rows, (cols + layout.cols - 1) / layout.cols),
        groups(layout) {
    Random random(seed);
    for (std::uint8_t& code : q.reshaped()) code = static_cast<std::uint8_t>(random.below(2) * 128 + random.below(127));
    for (float& scale : s.reshaped()) scale = static_cast<float>(1 + random.uniform());
  }
  operator Fp8Operand() const { return {q, s, groups, e4m3_values().data()}; }
  Codes q;
  Scales s;
  Groups groups;
};

/// The three products of a Linear [out, in].
struct Operands {
  Operands(Index tokens, Index out, Index in)
      : x(tokens, in, tile_1x128, 1),
        dy(tokens, out, tile_1x128, 2),
        W(out, in, block_128x128, 3),
        x_T(tokens, in, tile_128x1, 4),
        dy_T(tokens, out, tile_128x1, 5),
        y(tokens, out),
        dx(tokens, in),
        dW(Scales::Zero(out, in)) {}
  Coded x, dy, W, x_T, dy_T;
  Scales y, dx, dW;
};

void add_products(std::vector<BenchRow>& rows, const char* name, const Accumulation& accumulation, Index tokens,
                  Index out, Index in) {
  const double work = 2e-9 * static_cast<double>(tokens) * static_cast<double>(out) * static_cast<double>(in);
  const Fp8Arithmetic how{accumulation};
  const auto add = [&](const char* product, auto run) {
    rows.push_back({fmt::format("fp8_gemm_{}_{}", name, product),
                    fmt::format("[{}, {}], {} tokens, promoted every {}", out, in, tokens, accumulation.interval),
                    {{"GFLOP/s", work}},
                    Ceiling::fma,
                    work,
                    [=] { return [run, o = std::make_shared<Operands>(tokens, out, in)] { run(*o); }; }});
    if (accumulation.sum == Accumulation::Sum::aligned) rows.back().goal = 4.0 * omp_get_max_threads();
    if (accumulation.sum != Accumulation::Sum::fp32_chain) return;
    rows.back().peer = Peer{.name = "OpenBLAS in FP32",
                            .goal = 0.75,
                            .request = fmt::format("sgemm_{} {} {} {}", product, tokens, out, in)};
  };
  add("fprop", [how](Operands& o) { fp8_fprop(o.y, o.x, o.W, how); });
  add("dgrad", [how](Operands& o) { fp8_dgrad(o.dx, o.dy, o.W, how); });
  add("wgrad", [how](Operands& o) { fp8_wgrad(o.dW, o.dy_T, o.x_T, how); });
}

}  // namespace

std::vector<BenchRow> fp8_gemm_rows() {
  std::vector<BenchRow> rows;
  add_products(rows, "large", fp32_sums, 1024, 1024, 1024);
  add_products(rows, "medium", fp32_sums, 512, 512, 512);
  add_products(rows, "attention", fp32_sums, 512, 256, 256);
  add_products(rows, "expert", fp32_sums, 64, 128, 256);
  add_products(rows, "few_tokens", fp32_sums, 8, 128, 256);
  for (const NamedAccumulation& preset : accumulations())
    if (preset.accumulation.sum != Accumulation::Sum::fp32_chain)
      add_products(rows, preset.name.data(), preset.accumulation, 256, 256, 512);
  return rows;
}

}  // namespace dsv3::cli
