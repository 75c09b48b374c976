// SPDX-License-Identifier: MIT
// dsv3_cuda_bench: our kernels and their peers in turns on this machine's device. Exit status: 0 all right, 1 a result
// is wrong or a row failed, 2 wrong use, 77 no device.
#include <cuda_runtime.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cuda/bench/cublaslt.hpp"
#include "cuda/bench/results.hpp"
#include "cuda/bench/rows.hpp"
#include "cuda/core/check.hpp"
#include "reference/cli/number_option.hpp"
#include "reference/core/require.hpp"

namespace {

using namespace dsv3::cuda::bench;
using dsv3::concat;

struct Arguments {
  std::string name, out, table;
  int rounds = 20;
  bool quick = false, list = false;
};

/// Device, clocks and versions, as one line of JSON.
nlohmann::ordered_json facts() {
  int device = 0, sm_clock = 0, memory_clock = 0, driver = 0, runtime = 0;
  cudaDeviceProp properties{};
  DSV3_CUDA_CHECK(cudaGetDevice(&device));
  DSV3_CUDA_CHECK(cudaGetDeviceProperties(&properties, device));
  DSV3_CUDA_CHECK(cudaDeviceGetAttribute(&sm_clock, cudaDevAttrClockRate, device));
  DSV3_CUDA_CHECK(cudaDeviceGetAttribute(&memory_clock, cudaDevAttrMemoryClockRate, device));
  DSV3_CUDA_CHECK(cudaDriverGetVersion(&driver));
  DSV3_CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
  return {{"device", properties.name},
          {"multiprocessors", properties.multiProcessorCount},
          {"memory_GiB", static_cast<double>(properties.totalGlobalMem) / (1 << 30)},
          {"L2_MiB", properties.l2CacheSize / (1 << 20)},
          {"highest_clock_MHz", sm_clock / 1000},
          {"highest_memory_clock_MHz", memory_clock / 1000},
          {"driver_CUDA", driver},
          {"runtime_CUDA", runtime},
          {"cuBLASLt", cublaslt_version()}};
}

/// Empty, or what is wrong with the result of a call made now.
std::string what_is_wrong(const Call& call) {
  if (!call.not_supported.empty()) return "not supported: " + call.not_supported;
  if (!call.wrong) return {};
  if (call.forget) call.forget();
  call.run();
  dsv3::cuda::synchronise();
  return call.wrong();
}

RowResult measure(const Row& row, StopWatch& watch, int rounds) {
  RowResult result{.name = row.name,
                   .what = row.what,
                   .unit = row.unit,
                   .work = row.work,
                   .goal = row.goal,
                   .goal_ratio = row.goal_ratio};
  const Calls calls = row.make(watch);
  std::vector<std::function<void()>> right;
  const auto checked = [&](const Call& call) {
    Timed timed{call.name, {}, {}, what_is_wrong(call)};
    if (timed.why_not.empty()) right.push_back(call.run);
    return timed;
  };
  result.ours = checked(calls.ours);
  for (const Call& peer : calls.peers) result.peers.push_back(checked(peer));
  take_times(result, interleaved(watch, right, rounds));
  return result;
}

/// Whether anything can still run: an access out of bounds ends all work of a program on its device.
bool device_answers() try {
  dsv3::cuda::synchronise();
  return true;
} catch (const std::exception&) {
  return false;
}

/// A row that throws: the device has refused something, or has no memory for it.
RowResult measure_or_say_why(const Row& row, StopWatch& watch, int rounds) try {
  return measure(row, watch, rounds);
} catch (const std::exception& error) {
  RowResult failed{.name = row.name,
                   .what = row.what,
                   .unit = row.unit,
                   .work = row.work,
                   .goal = row.goal,
                   .goal_ratio = row.goal_ratio};
  failed.ours = {"ours", {}, {}, concat("failed: ", error.what())};
  return failed;
}

/// Those whose names begin with `name`.
std::vector<Row> rows_named(const std::string& name, bool quick) {
  std::vector<Row> rows;
  std::string known;
  for (auto& some : {ceiling_rows(), gemm_rows(quick), grouped_rows(quick), memory_rows(quick)})
    for (const Row& row : some) {
      known += (known.empty() ? "" : ", ") + row.name;
      if (row.name.starts_with(name)) rows.push_back(row);
    }
  dsv3::require(!rows.empty(), "NAME", "no row begins with '", name, "'; there are ", known);
  return rows;
}

int print_table(const std::string& file) {
  std::ifstream in(file);
  dsv3::require_world(in.good(), file, "cannot be read");
  const std::vector<RowResult> rows = read_lines(in);
  for (const RowResult& row : rows) fmt::print("{}\n", text_of(row));
  fmt::print("{}\n", summary(rows));
  return 0;
}

int bench(const Arguments& a) {
  if (const std::string reason = dsv3::cuda::why_not(); !reason.empty()) {
    fmt::print("skipped: {}\n", reason);
    return 77;
  }
  std::ofstream out;
  if (!a.out.empty()) out.open(a.out, std::ios::app);
  dsv3::require_world(a.out.empty() || out.good(), a.out, "cannot be written");
  const auto keep = [&](const std::string& line) { out << line << std::endl; };  // at once: a row may never end
  fmt::print("{}\n", facts().dump());
  keep(facts().dump());
  StopWatch watch;
  std::vector<RowResult> results;
  for (const Row& row : rows_named(a.name, a.quick)) {
    results.push_back(measure_or_say_why(row, watch, a.rounds));
    keep(json_line(results.back()));
    fmt::print("{}\n", text_of(results.back()));
    std::fflush(stdout);
    if (!device_answers()) break;
  }
  fmt::print("{}\n", summary(results));
  const bool all_right =
      std::all_of(results.begin(), results.end(), [](const RowResult& r) { return r.ours.why_not.empty(); });
  return all_right ? 0 : 1;
}

int run(const Arguments& a) {
  if (!a.table.empty()) return print_table(a.table);
  if (!a.list) return bench(a);
  for (const Row& row : rows_named(a.name, a.quick)) fmt::print("{:<28} {}\n", row.name, row.what);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments a;
  CLI::App app(
      "CUDA kernels beside cuBLASLt and copies: in turns, on random data, each result checked before it is timed");
  app.add_option("NAME", a.name, "Only rows whose names begin with this");
  app.add_option("--out", a.out, "A file to which a line of JSON is added for each row as it is measured");
  dsv3::cli::number<int>(&app, "--rounds", a.rounds, 10, "Times each call is measured", 10000);
  app.add_flag("--quick", a.quick, "Fewer shapes");
  app.add_flag("--list", a.list, "Print the rows and measure nothing");
  app.add_option("--table", a.table, "Print what --out has written to this file as one table and measure nothing");
  try {
    app.parse(argc, argv);
    return run(a);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    std::cerr << "dsv3_cuda_bench: " << error.what() << "; --help shows what there is\n";
  } catch (const std::exception& error) {
    std::cerr << "dsv3_cuda_bench: " << error.what() << '\n';
  }
  return 2;
}
