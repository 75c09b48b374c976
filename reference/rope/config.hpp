// SPDX-License-Identifier: MIT
/// \file
/// Sizes and constants of the rotary embedding and of YaRN, section 4.3.
#pragma once
#include <optional>

#include "reference/core/real.hpp"

namespace dsv3 {

/// The constants of YaRN as the report and the released config.json give them.
struct YarnConfig {
  double factor = 40;  ///< s
  Index original_length = 4096;
  double beta_fast = 32;      ///< beta
  double beta_slow = 1;       ///< alpha
  double mscale = 1;          ///< Hugging Face's numerator of the factor on cos and sin
  double mscale_all_dim = 1;  ///< m of mscale = 0.1 m ln s + 1, squared on the whole logit
  friend bool operator==(const YarnConfig&, const YarnConfig&) = default;
};

/// Where the angles of RoPE are rounded; see RopeTable.
enum class AngleDialect {
  exact,    ///< nowhere: frequency, angle, cos and sin in double
  released  ///< at every step to FP32, as the code released with the weights, and transformers, form them
};

struct RopeConfig {
  Index width = 64;  ///< d_h^R, even
  double theta = 10000;
  Index max_length = 4096;  ///< YaRN applies iff it is present and max_length > original_length, whatever the prompt
  std::optional<YarnConfig> yarn = std::nullopt;  ///< none: plain RoPE
  AngleDialect angles = AngleDialect::exact;
  friend bool operator==(const RopeConfig&, const RopeConfig&) = default;
};

}  // namespace dsv3
