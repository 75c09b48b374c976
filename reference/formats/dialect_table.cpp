// SPDX-License-Identifier: MIT
#include "reference/formats/dialect_table.hpp"

#include <fmt/format.h>

#include <vector>

#include "reference/core/random.hpp"
#include "reference/core/threads.hpp"
#include "reference/formats/bf16.hpp"
#include "reference/formats/quantise.hpp"

namespace dsv3 {
namespace {

/// TileKernels' formula is DeepEP's for E4M3.
constexpr Dialect compared[] = {Dialect::deepseek_v3,   Dialect::deepgemm,     Dialect::deepep,
                                Dialect::deepep_kernel, Dialect::deepseek_v32, Dialect::transformer_engine};
constexpr Index num_compared = std::ssize(compared), chunk = 64;

struct Differences {
  Index codes = 0, groups = 0, scales = 0;
  void operator+=(const Differences& d) {
    codes += d.codes;
    groups += d.groups;
    scales += d.scales;
  }
};
/// By the two dialects, the first before the second.
using Table = std::vector<Differences>;
Index place(Index a, Index b) { return a * num_compared + b; }

FloatMatrix inputs(Index first_group, Index count, std::uint64_t seed, bool bf16) {
  FloatMatrix x(count, 128);
  for (Index i = 0; i < count; ++i) {
    Random random = stream(seed, static_cast<std::uint64_t>(first_group + i));
    for (Index j = 0; j < 128; ++j) {
      double sum = -6;
      for (int k = 0; k < 12; ++k) sum += random.uniform();
      x(i, j) = bf16 ? float_from_bf16(bf16_from_float(static_cast<float>(sum))) : static_cast<float>(sum);
    }
  }
  return x;
}

Differences differences(const Quantised& a, const Quantised& b) {
  Differences d;
  for (Index i = 0; i < a.q.rows(); ++i) {
    const Index codes = (a.q.row(i).array() != b.q.row(i).array()).count();
    d += {codes, codes != 0, a.s(i, 0) != b.s(i, 0)};
  }
  return d;
}

Table count(Index num_groups, std::uint64_t seed, bool bf16, ScaleKind kind) {
  const Index num_chunks = dsv3::num_groups(num_groups, chunk);
  std::vector<Table> tables(static_cast<std::size_t>(num_chunks), Table(num_compared * num_compared));
  parallel_for(num_chunks, [&](Index c) {
    const FloatMatrix x = inputs(c * chunk, std::min(chunk, num_groups - c * chunk), seed, bf16);
    std::vector<Quantised> q;
    for (const Dialect d : compared) q.push_back(quantise(x, {.scale = kind, .dialect = d}));
    for (Index a = 0; a < num_compared; ++a)
      for (Index b = a + 1; b < num_compared; ++b) tables[c][place(a, b)] += differences(q[a], q[b]);
  });
  for (Index c = 1; c < num_chunks; ++c)
    for (std::size_t k = 0; k < tables[0].size(); ++k) tables[0][k] += tables[c][k];
  return tables[0];
}

std::string rows_of(const Table& bf16, const Table& fp32, Index num_groups) {
  const auto n = static_cast<double>(num_groups);
  const auto percent = [&](Index count) { return 100 * static_cast<double>(count) / n; };
  const auto per_million = [&](Index count) { return 1e6 * static_cast<double>(count) / (128 * n); };
  std::string text;
  for (Index a = 0; a < num_compared; ++a)
    for (Index b = a + 1; b < num_compared; ++b) {
      const Differences &of_bf16 = bf16[place(a, b)], &of_fp32 = fp32[place(a, b)];
      text += fmt::format("| {} | {} | {:.1f} | {:.2f}% | {:.0f}% | {:.2f} | {:.4f}% | {:.0f}% |\n",
                          dialect(compared[a]).name, dialect(compared[b]).name, per_million(of_bf16.codes),
                          percent(of_bf16.groups), percent(of_bf16.scales), per_million(of_fp32.codes),
                          percent(of_fp32.groups), percent(of_fp32.scales));
    }
  return text;
}

Differences sum(const Table& table) {
  Differences all;
  for (const Differences& d : table) all += d;
  return all;
}

}  // namespace

std::string dialect_table(Index num_groups, std::uint64_t seed) {
  const auto counted = [&](bool bf16, ScaleKind kind) { return count(num_groups, seed, bf16, kind); };
  Differences powers = sum(counted(true, ScaleKind::ue8m0_ceil));
  powers += sum(counted(false, ScaleKind::ue8m0_ceil));
  return fmt::format(
      "E4M3 codes and FP32 scales of {} groups of 128 values, BF16 and FP32:\n\n"
      "| dialect | against | BF16: codes per million | groups hit | scales | FP32: codes per million | groups hit | "
      "scales |\n|---|---|---|---|---|---|---|---|\n{}\n"
      "With power-of-two scales, all pairs and both kinds of input: {} codes and {} scales differ.\n",
      num_groups, rows_of(counted(true, ScaleKind::fp32), counted(false, ScaleKind::fp32), num_groups), powers.codes,
      powers.scales);
}

}  // namespace dsv3
