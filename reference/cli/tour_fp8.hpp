// SPDX-License-Identifier: MIT
/// \file
/// What the tour shows of section 3.3: the smallest model trained in BF16 and in FP8.
#pragma once
#include <cstdint>
#include <string>

#include "reference/core/real.hpp"

namespace dsv3::cli {

struct Fp8BesideBf16 {
  Index steps = 0, last = 0;   ///< of each run, and those at its end that the numbers are means of
  double loss = 0, error = 0;  ///< of BF16, and FP8's relative error against it, both smoothed (EMA 0.9)
};

/// Two runs of configuration `tiny` with the same weights, text and order of the text. Nothing after Ctrl-C.
Fp8BesideBf16 train_in_bf16_and_fp8(const std::string& data, Index steps, std::uint64_t seed);

}  // namespace dsv3::cli
