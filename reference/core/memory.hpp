// SPDX-License-Identifier: MIT
/// \file
/// How much memory the system has given this process (Linux).
#pragma once
#include <cstddef>

namespace dsv3 {

struct ResidentMemory {
  std::size_t now = 0, peak = 0;  ///< bytes in memory; 0 where the system does not say
};

ResidentMemory resident_memory();

/// Gives free memory back to the system and lets the peak begin anew from what is then left.
void reset_peak_memory();

}  // namespace dsv3
