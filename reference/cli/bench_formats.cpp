// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <memory>

#include "reference/cli/bench.hpp"
#include "reference/core/random.hpp"
#include "reference/formats/delayed.hpp"
#include "reference/formats/e5m6.hpp"

namespace dsv3::cli {
namespace {

constexpr double giga = 1e-9;

/// Normal values [rows, cols], their codes and what those stand for.
struct Casts {
  Casts(Index rows, Index cols) : x(rows, cols) {
    Random random(1);
    for (float& value : x.reshaped()) value = static_cast<float>(random.normal());
    size = static_cast<std::size_t>(x.size());
    codes.resize(rows, cols);
    codes16.resize(rows, cols);
    encode(FormatId::e4m3, values(), {codes.data(), size});
  }
  std::span<const float> values() const { return {x.data(), size}; }
  FloatMatrix x;
  Codes codes;
  Codes16 codes16;
  std::size_t size;
};

void add_casts(std::vector<BenchRow>& rows, Index n) {
  const auto add = [&](const std::string& name, const char* what, auto run) {
    rows.push_back({fmt::format("{}_{}k", name, n / 1024),
                    fmt::format("{} values, {}", n, what),
                    {{"Gelem/s", giga * static_cast<double>(n)}},
                    Ceiling::none,
                    0,
                    [=] { return [run, c = std::make_shared<Casts>(n / 1024, 1024)] { run(*c); }; }});
  };
  const auto beside_ml_dtypes = [&](const std::string& name) {
    rows.back().peer = Peer{.name = "ml_dtypes", .goal = 8, .request = fmt::format("{} {}", name, n)};
  };
  for (const FormatId id : {FormatId::e4m3, FormatId::e5m2}) {
    const std::string name(format(id).name);
    add("encode_" + name, "to nearest even, saturating",
        [id](Casts& c) { encode(id, c.values(), std::span(c.codes.data(), c.size)); });
    beside_ml_dtypes("encode_" + name);
    add("decode_" + name, "exact", [id](Casts& c) {
      decode(id, std::span<const std::uint8_t>(c.codes.data(), c.size), {c.x.data(), c.size});
    });
    beside_ml_dtypes("decode_" + name);
  }
  add("encode_e5m6", "to nearest even, saturating",
      [](Casts& c) { encode(FormatId::e5m6, c.values(), std::span(c.codes16.data(), c.size)); });
  add("encode_stochastic", "E4M3", [](Casts& c) {
    encode(FormatId::e4m3, c.values(), std::span(c.codes.data(), c.size), {.rounding = Rounding::stochastic});
  });
}

void add_quantisation(std::vector<BenchRow>& rows, Index num_rows, Index num_cols) {
  const double work = giga * static_cast<double>(num_rows) * static_cast<double>(num_cols);
  const auto add = [&](const char* name, const char* what, auto run) {
    rows.push_back({fmt::format("{}_{}", name, num_cols),
                    fmt::format("[{}, {}], {}", num_rows, num_cols, what),
                    {{"Gelem/s", work}},
                    Ceiling::none,
                    0,
                    [=] { return [run, c = std::make_shared<Casts>(num_rows, num_cols)] { run(*c); }; }});
  };
  add("quantise_1x128", "x / (amax / 448)", [](const Casts& c) { quantise(c.x); });
  rows.back().peer =
      Peer{.name = "NumPy and ml_dtypes", .request = fmt::format("quantise_1x128 {} {}", num_rows, num_cols)};
  add("quantise_1x128_ue8m0", "power-of-two scales",
      [](const Casts& c) { quantise(c.x, {.scale = ScaleKind::ue8m0_ceil}); });
  add("quantise_128x1", "x / (amax / 448)", [](const Casts& c) { quantise(c.x, {.groups = tile_128x1}); });
  add("quantise_128x128", "x / (amax / 448)", [](const Casts& c) { quantise(c.x, {.groups = block_128x128}); });
  add("quantise_mx", "OCP's blocks of 32", [](const Casts& c) { quantise(c.x, mx(FormatId::e4m3)); });
  add("quantise_delayed", "one scale from the past",
      [history = std::make_shared<AmaxHistory>()](const Casts& c) { quantise_delayed(c.x, *history); });
  add("quantise_e5m6", "12 bits, not packed", [](const Casts& c) { quantise16(c.x, {.format = FormatId::e5m6}); });
  const auto as_quantised = [](const Casts& c) {
    return Quantised{.q = c.codes, .s = Scales::Ones(c.x.rows(), num_groups(c.x.cols(), 128)), .groups = tile_1x128};
  };
  add("dequantise_1x128", "codes copied, then times scales", [=](const Casts& c) { dequantise(as_quantised(c)); });
  add("requantise_128x1", "1x128 to 128x1, power-of-two scales",
      [=](const Casts& c) { requantise(as_quantised(c), {.groups = tile_128x1, .scale = ScaleKind::ue8m0_ceil}); });
}

}  // namespace

std::vector<BenchRow> format_rows() {
  std::vector<BenchRow> rows;
  for (const Index n : {16 << 10, 4 << 20}) add_casts(rows, n);
  for (const Index cols : {1024, 7168}) add_quantisation(rows, 4096, cols);
  return rows;
}

}  // namespace dsv3::cli
