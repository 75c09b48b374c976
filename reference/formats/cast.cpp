// SPDX-License-Identifier: MIT
#include "reference/formats/cast.hpp"

#include "reference/core/require.hpp"
#include "reference/formats/bf16.hpp"
#include "reference/formats/cast_lanes.hpp"

namespace dsv3 {
namespace {

template <class Code>
void check(const char* where, FormatId id, std::size_t num_values, std::size_t num_codes) {
  require(num_values == num_codes, where, num_values, " values and ", num_codes, " codes");
  require(format(id).bits() <= static_cast<int>(8 * sizeof(Code)), where, format(id).name, " has codes of ",
          format(id).bits(), " bits, not ", 8 * sizeof(Code));
}

/// encode(bf16, x, nearest_even, non_saturate): of a NaN only the sign is kept.
std::uint32_t bf16_lane(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t nan = ((bits >> 16) & 0x8000u) | 0x7FC0u;
  return (bits & 0x7FFF'FFFFu) > 0x7F80'0000u ? nan : std::uint32_t{bf16_from_float(x)};
}

/// encode(ue8m0, x, nearest_even, non_saturate): half a binade up, cut; a tie goes up where x is normal, down below.
std::uint32_t ue8m0_lane(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t code = (bits + 0x3F'FFFFu + (bits >= 0x80'0000u ? 1 : 0)) >> 23;
  return bits - 1 < 0x7F7F'FFFFu ? code : 255;
}

template <class Code, class Lane>
void encode_each(std::span<const float> x, std::span<Code> codes, const Lane lane) {
  for (std::size_t i = 0; i < x.size(); ++i) codes[i] = static_cast<Code>(lane(x[i]));
}

template <class Code>
void encode_all(FormatId id, std::span<const float> x, std::span<Code> codes, const Cast& cast, std::uint64_t first) {
  check<Code>("encode", id, x.size(), codes.size());
  if (cast.rounding == Rounding::nearest_even) {
    const bool saturates = cast.overflow == Overflow::saturate;
    if (has_encode_lane(id)) return encode_each(x, codes, EncodeLane(format(id), cast.overflow));
    if (id == FormatId::bf16 && !saturates) return encode_each(x, codes, [](float v) { return bf16_lane(v); });
    if (id == FormatId::ue8m0 && !saturates) return encode_each(x, codes, [](float v) { return ue8m0_lane(v); });
  }
  for (std::size_t i = 0; i < x.size(); ++i)
    codes[i] = static_cast<Code>(encode(id, x[i], cast.rounding, cast.overflow, random_bits(cast.seed, first + i)));
}

template <class Code>
void decode_all(FormatId id, std::span<const Code> codes, std::span<float> x) {
  check<Code>("decode", id, x.size(), codes.size());
  if (has_encode_lane(id)) {
    const DecodeLane lane(format(id));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = lane(codes[i]);
    return;
  }
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = decode(id, codes[i]);
}

}  // namespace

void encode(FormatId id, std::span<const float> x, std::span<std::uint8_t> codes, const Cast& cast,
            std::uint64_t first) {
  encode_all(id, x, codes, cast, first);
}

void encode(FormatId id, std::span<const float> x, std::span<std::uint16_t> codes, const Cast& cast,
            std::uint64_t first) {
  encode_all(id, x, codes, cast, first);
}

void decode(FormatId id, std::span<const std::uint8_t> codes, std::span<float> x) { decode_all(id, codes, x); }

void decode(FormatId id, std::span<const std::uint16_t> codes, std::span<float> x) { decode_all(id, codes, x); }

}  // namespace dsv3
