// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "reference/checkpoint/atomic_file.hpp"
#include "reference/cli/commands.hpp"
#include "reference/core/require.hpp"
#include "reference/linear/fp8_depth_error.hpp"
#include "reference/plot/chart.hpp"
#include "reference/training/run_lock.hpp"

namespace dsv3::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::array<Index, 8> depths = {128, 256, 512, 1024, 2048, 4096, 8192, 16384};
constexpr std::size_t report_depth = 5;  ///< of them: K = 4096, which section 3.3.2 speaks of

struct Data {
  Samples samples;
  const char* name;
};
constexpr std::array<Data, 2> data = {
    {{Samples::uniform, "one-signed, uniform in [0, 1)"}, {Samples::normal, "zero-mean, normal"}}};

/// One way to sum, over all depths.
struct Series {
  std::string name;
  int preset;  ///< its number
  bool promoted;
  std::vector<DepthError> errors;
};

/// Every preset but the exact one, each without promotion and with.
std::vector<Series> measure(Samples samples, const Fp8DepthArguments& a) {
  std::vector<Series> all;
  int number = 0;
  for (const NamedAccumulation& preset : accumulations()) {
    if (preset.accumulation.sum == Accumulation::Sum::exact) continue;
    for (const bool promoted : {false, true}) {
      const Accumulation how = preset.accumulation.promoted_every(promoted ? preset.accumulation.interval : 0);
      all.push_back({concat(preset.name, promoted ? ", promoted" : ""), number, promoted,
                     error_against_depth(how, samples, depths, a.outputs, a.seed)});
    }
    ++number;
  }
  return all;
}

nlohmann::ordered_json as_json(const std::vector<Series>& all, const char* name) {
  nlohmann::ordered_json sums;
  for (const Series& series : all)
    for (const DepthError& e : series.errors)
      sums.push_back({{"sum", series.name},
                      {"promoted", series.promoted},
                      {"K", e.K},
                      {"rms", e.rms},
                      {"mean_relative", e.mean_relative},
                      {"max_relative", e.max_relative},
                      {"max_over_rms", e.max_over_rms}});
  return {{"data", name}, {"errors", sums}};
}

plot::LineChart chart(const std::vector<Series>& all, const Data& of, bool with_names) {
  constexpr std::array dashes = {"", "7 3", "2 2", "8 3 2 3"};
  plot::LineChart c{.title = of.name,
                    .x_label = "K",
                    .y_label = "rms error, percent",
                    .lines = {},
                    .x_axis = plot::Axis::log2,
                    .y_axis = plot::Axis::log10,
                    .legend = plot::Legend::beside};
  for (const Series& series : all) {
    plot::Line line{.name = with_names ? series.name : "", .x = {}, .y = {}};
    line.marked = series.promoted;
    line.colour = series.preset;
    line.dash = dashes[static_cast<std::size_t>(series.preset) % dashes.size()];
    for (const DepthError& e : series.errors) {
      line.x.push_back(static_cast<double>(e.K));
      line.y.push_back(100 * e.rms);
    }
    c.lines.push_back(line);
  }
  if (!with_names) c.legend = plot::Legend::inside;
  return c;
}

void print_table(const std::vector<Series>& all, const char* name) {
  fmt::print("\n{:<28}", name);
  for (const Index K : depths) fmt::print("{:>10}", K);
  fmt::print("\n");
  for (const Series& series : all) {
    fmt::print("  {:<26}", series.name);
    for (const DepthError& e : series.errors) fmt::print("{:>10.2g}", 100 * e.rms);
    fmt::print("\n");
  }
}

}  // namespace

int fp8_depth(const Fp8DepthArguments& a) {
  const RunLock lock(a.out);  // what cannot be written is refused before any work
  nlohmann::ordered_json json{{"outputs", a.outputs}, {"seed", a.seed}, {"data", {}}};
  std::vector<plot::Panel> panels;
  std::vector<std::vector<Series>> measured;
  for (const Data& of : data) {
    measured.push_back(measure(of.samples, a));
    json["data"].push_back(as_json(measured.back(), of.name));
    panels.emplace_back(chart(measured.back(), of, measured.size() == data.size()));
  }
  write_file(fs::path(a.out) / "depth.json", json.dump(1) + "\n");
  write_file(fs::path(a.out) / "depth.svg", plot::svg(panels));
  if (a.json) {
    fmt::print("{}\n", json.dump());
    return 0;
  }
  fmt::print("error of sums of K products of E4M3 codes against exact ones: rms over rms, percent, {0} x {0} sums\n",
             a.outputs);
  for (std::size_t i = 0; i < data.size(); ++i) print_table(measured[i], data[i].name);
  const DepthError &one_signed = measured[0][0].errors[report_depth], &zero_mean = measured[1][0].errors[report_depth];
  fmt::print(
      "\nlargest error at K = {}, {}: {:.2f}% of an exact sum (one-signed), {:.2f}% of their rms (zero-mean)\n"
      "  the report: nearly 2% at K = 4096 (section 3.3.2); it does not say of which data and of what\n",
      one_signed.K, measured[0][0].name, 100 * one_signed.max_relative, 100 * zero_mean.max_over_rms);
  fmt::print("{0}: depth.json, depth.svg\n", a.out);
  return 0;
}

}  // namespace dsv3::cli
