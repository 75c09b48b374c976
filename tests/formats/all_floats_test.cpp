// SPDX-License-Identifier: MIT
// Every cast of all 2^32 floats, against a walk over the midpoints of each format's values and against digests of what
// ml_dtypes and numpy make of them (tests/golden/make_cast_digests.py).
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "reference/core/threads.hpp"
#include "reference/formats/cast.hpp"
#include "tests/formats/slow_cast.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {
constexpr std::uint32_t block_size = 1 << 16, num_blocks = 1 << 8;  // of the 2^24 floats with the same upper byte
constexpr std::uint32_t infinity = 0x7F80'0000u;

/// What the walk must find from one boundary to the next.
struct Run {
  std::uint32_t first;  ///< bits of the first magnitude
  std::uint32_t code;
};

/// Magnitudes in order: those of each code, those beyond the largest value, infinity, and NaN.
std::vector<Run> runs_of(const SlowFormat& f, Overflow overflow) {
  const auto largest = static_cast<std::uint32_t>(f.num_finite - 1), nan = static_cast<std::uint32_t>(f.nan_code);
  const bool saturates = overflow == Overflow::saturate || !f.has_nan;
  const std::uint32_t beyond = saturates ? largest : (f.has_infinity ? largest + 1 : nan);
  std::vector<Run> runs{{0, 0}};
  for (const std::uint32_t bits : first_floats(f)) runs.push_back({bits, static_cast<std::uint32_t>(runs.size())});
  runs.back().code = beyond;
  runs.push_back({infinity, beyond});
  runs.push_back({infinity + 1, nan});
  return runs;
}

/// Compares the codes of a block of floats, `begin` on, with the runs it lies in.
template <class Code>
bool as_expected(const std::vector<Code>& codes, const std::vector<Run>& runs, std::uint32_t begin,
                 std::uint32_t sign) {
  const std::uint32_t magnitude = begin & 0x7FFF'FFFFu, flip = begin >> 31 ? sign : 0;
  const auto above = [](std::uint32_t bits, const Run& run) { return bits < run.first; };
  auto run = std::upper_bound(runs.begin(), runs.end(), magnitude, above) - 1;
  std::vector<Code> expected(block_size);
  for (std::uint32_t i = 0; i < block_size; ++run) {
    const std::uint32_t end = run + 1 == runs.end() ? block_size : std::min(block_size, run[1].first - magnitude);
    std::fill(expected.begin() + i, expected.begin() + end, static_cast<Code>(run->code ^ flip));
    i = end;
  }
  return codes == expected;
}

/// Of the codes' 64-bit words, the first of which is number `first`.
template <class Code>
std::uint64_t digest(const std::vector<Code>& codes, std::uint64_t first) {
  std::uint64_t sum = 0;
  for (std::size_t k = 0; k < codes.size() * sizeof(Code) / 8; ++k) {
    std::uint64_t word;
    std::memcpy(&word, codes.data() + k * 8 / sizeof(Code), 8);
    sum += word * ((2 * (first + k) + 1) * 0x9E37'79B9'7F4A'7C15u);
  }
  return sum;
}

/// A format cast in one way, and what was found in each chunk of floats with the same upper byte.
struct Case {
  FormatId id;
  Overflow overflow;
  std::vector<Run> runs;  ///< none: digests only
  std::vector<std::uint64_t> digests = std::vector<std::uint64_t>(256);
  std::vector<std::uint32_t> blocks_wrong = std::vector<std::uint32_t>(256);

  template <class Code>
  void check(const std::vector<float>& x, std::uint32_t top, std::uint32_t block) {
    std::vector<Code> codes(block_size);
    encode(id, x, codes, {.overflow = overflow});
    if (!runs.empty() && !as_expected(codes, runs, top << 24 | block << 16, format(id).sign_bit())) ++blocks_wrong[top];
    if (overflow == Overflow::non_saturate)
      digests[top] += digest(codes, std::uint64_t{block} * (block_size * sizeof(Code) / 8));
  }
};

FormatId id_of(const std::string& name) {
  const auto row = std::find_if(formats.begin(), formats.end(), [&](const Format& f) { return f.name == name; });
  REQUIRE(row != formats.end());
  return static_cast<FormatId>(row - formats.begin());
}

/// BF16 saturating has no code of its own for many values: format_test has its boundaries.
std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const SlowFormat& slow : slow_formats())
    for (const Overflow overflow : {Overflow::saturate, Overflow::non_saturate})
      if (slow.name != "bf16" || overflow == Overflow::non_saturate)
        cases.push_back({.id = id_of(slow.name), .overflow = overflow, .runs = runs_of(slow, overflow)});
  cases.push_back({.id = FormatId::ue8m0, .overflow = Overflow::non_saturate, .runs = {}});
  return cases;
}

void check_chunk(std::vector<Case>& cases, std::uint32_t top) {
  std::vector<float> x(block_size);
  for (std::uint32_t block = 0; block < num_blocks; ++block) {
    for (std::uint32_t i = 0; i < block_size; ++i) x[i] = std::bit_cast<float>((top << 24 | block << 16) + i);
    for (Case& c : cases) {
      if (format(c.id).bits() <= 8) c.check<std::uint8_t>(x, top, block);
      else c.check<std::uint16_t>(x, top, block);
    }
  }
}
}  // namespace

TEST_CASE("cast: all 2^32 floats get the code of a walk over the format's midpoints, and of ml_dtypes or numpy") {
  const auto golden = nlohmann::json::parse(std::ifstream(DSV3_SOURCE_DIR "/tests/golden/cast_digests.json"));
  std::vector<Case> cases = all_cases();
  parallel_for(256, [&](Index top) { check_chunk(cases, static_cast<std::uint32_t>(top)); });
  std::size_t num_digests = 0;
  for (const Case& c : cases)
    for (std::size_t top = 0; top < 256; ++top) {
      const std::string name(format(c.id).name);
      CAPTURE(name);
      CAPTURE(top);
      CHECK(c.blocks_wrong[top] == 0);
      if (c.overflow == Overflow::saturate || !golden["digests"].contains(name)) continue;  // E5M6 is not in ml_dtypes
      CHECK(c.digests[top] == std::stoull(golden["digests"][name][top].get<std::string>(), nullptr, 16));
      ++num_digests;
    }
  CHECK(num_digests == 8 * 256);
}
