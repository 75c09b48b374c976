// SPDX-License-Identifier: MIT
/// \file
/// Casts of many values: decode() and encode() of format.hpp, fast for nearest even.
#pragma once
#include <cstdint>
#include <span>

#include "reference/formats/format.hpp"

namespace dsv3 {

/// How values are cast. `seed` matters for stochastic rounding alone: element i takes the bits random_bits(seed, i), so
/// the codes depend neither on the number of threads nor on how the work is cut.
struct Cast {
  Rounding rounding = Rounding::nearest_even;
  Overflow overflow = Overflow::saturate;
  std::uint64_t seed = 0;
};

/// 32 uniform bits for an element: the upper half of SplitMix64's output number `index` + 1 of the stream `seed`.
constexpr std::uint32_t random_bits(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t z = seed + (index + 1) * 0x9E37'79B9'7F4A'7C15u;
  z = (z ^ (z >> 30)) * 0xBF58'476D'1CE4'E5B9u;
  z = (z ^ (z >> 27)) * 0x94D0'49BB'1331'11EBu;
  return static_cast<std::uint32_t>((z ^ (z >> 31)) >> 32);
}

/// codes[i] = encode(id, x[i]); the element's index, for stochastic rounding, is `first` + i. Sizes agree, and the
/// format has at most 8 (16) bits, else std::invalid_argument. One thread.
void encode(FormatId id, std::span<const float> x, std::span<std::uint8_t> codes, const Cast& cast = {},
            std::uint64_t first = 0);
void encode(FormatId id, std::span<const float> x, std::span<std::uint16_t> codes, const Cast& cast = {},
            std::uint64_t first = 0);

/// x[i] = decode(id, codes[i]). Sizes agree, and the format has at most 8 (16) bits, else std::invalid_argument.
void decode(FormatId id, std::span<const std::uint8_t> codes, std::span<float> x);
void decode(FormatId id, std::span<const std::uint16_t> codes, std::span<float> x);

}  // namespace dsv3
