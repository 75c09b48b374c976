// SPDX-License-Identifier: MIT
#include "reference/cli/bench.hpp"

#include <fmt/format.h>
#include <omp.h>

#include <nlohmann/json.hpp>

#include "reference/cli/commands.hpp"
#include "reference/cli/timing.hpp"
#include "reference/core/require.hpp"

namespace dsv3::cli {
namespace {

constexpr double at_least = 0.02;  // seconds of a measurement

/// What the rounds of a row gave: seconds of a call, and its part of the ceiling taken just before.
struct Measured {
  std::vector<double> seconds, part, ceiling;
};

double ceiling_now(Ceiling ceiling, bool one_thread) {
  if (ceiling == Ceiling::fma) return fma_ceiling(one_thread);
  return ceiling == Ceiling::copy ? copy_ceiling(one_thread) : 0;
}

Measured measure(const BenchRow& row, Index rounds, bool one_thread) {
  const auto call = row.make();
  call();  // first touch of memory and caches
  Measured m;
  for (Index round = 0; round < rounds; ++round) {
    const double ceiling = ceiling_now(row.ceiling, one_thread);
    m.seconds.push_back(seconds_of(call, one_thread, at_least));
    if (row.ceiling == Ceiling::none) continue;
    m.ceiling.push_back(ceiling);
    m.part.push_back(row.ceiling_work / m.seconds.back() / ceiling);
  }
  return m;
}

Spread spread_in(const Figure& figure, const Measured& m) {
  std::vector<double> all;
  for (const double seconds : m.seconds) all.push_back(figure.value(seconds));
  return spread_of(std::move(all));
}

std::string json_line(const BenchRow& row, const Measured& m, Index threads) {
  nlohmann::ordered_json line{{"name", row.name}, {"what", row.what}, {"threads", threads}};
  for (const Figure& figure : row.figures) {
    const Spread s = spread_in(figure, m);
    line[figure.unit] = {{"median", s.median}, {"p10", s.low}, {"p90", s.high}};
  }
  if (m.part.empty()) return line.dump();
  const Spread part = spread_of(m.part);
  line["ceiling"] = row.ceiling == Ceiling::fma ? "fma" : "copy";
  line["ceiling_value"] = spread_of(m.ceiling).median;
  line["part_of_ceiling"] = {{"median", part.median}, {"p10", part.low}, {"p90", part.high}};
  return line.dump();
}

std::string text_line(const BenchRow& row, const Measured& m) {
  const Spread s = spread_in(row.figures[0], m);
  std::string line = fmt::format("{:<24} {:<40} {:>9.4g} ({:.4g} .. {:.4g}) {}", row.name, row.what, s.median, s.low,
                                 s.high, row.figures[0].unit);
  for (std::size_t i = 1; i < row.figures.size(); ++i)
    line += fmt::format(", {:.3g} {}", spread_in(row.figures[i], m).median, row.figures[i].unit);
  if (!m.part.empty())
    line +=
        fmt::format("  {:.0f}% of {}", 100 * spread_of(m.part).median, row.ceiling == Ceiling::fma ? "fma" : "copy");
  return line;
}

/// The row of that name, or those whose names begin with it.
std::vector<BenchRow> rows_named(const std::string& name) {
  std::vector<BenchRow> rows = ceiling_rows();
  for (auto& more : {kernel_rows(), format_rows(), step_rows()}) rows.insert(rows.end(), more.begin(), more.end());
  std::string known;
  bool whole_name = false;
  for (const BenchRow& row : rows) {
    known += (known.empty() ? "" : ", ") + row.name;
    whole_name = whole_name || row.name == name;
  }
  std::erase_if(rows, [&](const BenchRow& row) {
    return whole_name ? row.name != name : row.name.compare(0, name.size(), name) != 0;
  });
  require(!rows.empty(), "bench", "no row begins with '", name, "'; there are ", known);
  return rows;
}

}  // namespace

int bench(const BenchArguments& a) {
  require(a.threads >= 1, "bench", "--threads is ", a.threads, "; it must be at least 1");
  require(a.rounds >= 1, "bench", "--rounds is ", a.rounds, "; it must be at least 1");
  omp_set_num_threads(static_cast<int>(a.threads));
  const std::vector<BenchRow> rows = rows_named(a.name);
  const bool one_thread = a.threads == 1;
  if (!a.json)
    fmt::print("{} thread{}, {}; median (10% .. 90%) of {} rounds\n\n", a.threads, one_thread ? "" : "s",
               one_thread ? "seconds of its own work" : "seconds of the wall clock", a.rounds);
  for (const BenchRow& row : rows) {
    const Measured m = measure(row, a.rounds, one_thread);
    fmt::print("{}\n", a.json ? json_line(row, m, a.threads) : text_line(row, m));
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace dsv3::cli
