// SPDX-License-Identifier: MIT
/// \file
/// How often the scale formulas of public code lead to other FP8 codes: why a comparison must name its dialect.
#pragma once
#include <cstdint>
#include <string>

#include "reference/core/real.hpp"

namespace dsv3 {

/// Markdown: for each pair of dialects and E4M3 in groups of 1x128 how many codes and scales differ, of BF16 and of
/// FP32 inputs. The inputs are sums of twelve uniform numbers less 6, nearly normal and the same on every machine.
std::string dialect_table(Index num_groups = 200'000, std::uint64_t seed = 1);

}  // namespace dsv3
