// SPDX-License-Identifier: MIT
/// \file
/// Is the bit-faithful model of the tensor core (reference/linear/tensor_core.hpp) what this device computes? Prints,
/// for each class of dot products, in how many the two agree bit for bit, and the first in which they do not.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cuda/core/device.hpp"
#include "reference/core/require.hpp"
#include "tests/cuda/linear/probe.hpp"

namespace {

using namespace dsv3;
using namespace dsv3::test;

struct Options {
  Index tiles = 40;
  std::uint64_t seed = 1;
  std::string json;
};

Options options_of(int argc, char** argv) {
  Options options;
  CLI::App app{"Compares the device's FP8 tensor core with the bit-faithful model, class by class of dot products"};
  app.add_option("--tiles", options.tiles, "tiles of 1024 dot products for each class of single steps")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "of the dot products")->capture_default_str();
  app.add_option("--json", options.json, "file to which a JSON line for each class is appended");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  return options;
}

std::string hex(std::span<const std::uint8_t> codes) {
  std::string text;
  for (const std::uint8_t code : codes) text += fmt::format("{:02x}", code);
  return text;
}

/// The number, and its bits: a NaN or a last bit is seen.
std::string exact(float x) { return fmt::format("{:a} (0x{:08x})", x, std::bit_cast<std::uint32_t>(x)); }

nlohmann::json json_of(const DotClass& of, FormatId id, const Agreement& result) {
  nlohmann::json line{{"probe", of.name},
                      {"format", format(id).name},
                      {"steps", of.steps},
                      {"dots", result.dots},
                      {"equal", result.equal},
                      {"first", nullptr},
                      {"model", "hopper_fp8_wgmma"},
                      {"device", cuda::device().name}};
  if (const auto& first = result.first)
    line["first"] = {{"a", hex(first->a)},
                     {"b", hex(first->b)},
                     {"c", exact(first->c)},
                     {"device", exact(first->device)},
                     {"model", exact(first->model)}};
  return line;
}

void print(const DotClass& of, FormatId id, const Agreement& result) {
  fmt::print("{:4}  {:47} {:3} x 32  {:8} of {:8}  {:7.3f} %\n", format(id).name, of.name, of.steps, result.equal,
             result.dots, 100.0 * static_cast<double>(result.equal) / static_cast<double>(result.dots));
  if (const auto& first = result.first)
    fmt::print("      first: c {}\n      device {}\n      model  {}\n      a {}\n      b {}\n", exact(first->c),
               exact(first->device), exact(first->model), hex(first->a), hex(first->b));
}

void run(const Options& options) {
  std::ofstream json;
  if (!options.json.empty()) {
    json.open(options.json, std::ios::app);
    require_world(json.is_open(), "dsv3_probe", "cannot write '", options.json, "'");
  }
  Agreement all;
  for (const FormatId id : {FormatId::e4m3, FormatId::e5m2})
    for (const DotClass& of : dot_classes()) {
      const Agreement result = ask(of, id, options.tiles, options.seed);
      print(of, id, result);
      if (json.is_open()) json << json_of(of, id, result).dump() << std::endl;
      all.dots += result.dots, all.equal += result.equal;
    }
  fmt::print("{} of {} dot products have the model's bits\n", all.equal, all.dots);
}

}  // namespace

/// 0: the device was asked, whatever it said. 77: there is none.
int main(int argc, char** argv) {
  const Options options = options_of(argc, argv);
  if (const std::string reason = cuda::why_not(); !reason.empty()) {
    std::cout << "skipped: " << reason << '\n';
    return 77;
  }
  try {
    std::cout << "device: " << cuda::device().name << std::endl;
    run(options);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "dsv3_probe: " << error.what() << '\n';
    return 1;
  }
}
