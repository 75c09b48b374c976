// SPDX-License-Identifier: MIT
/// \file
/// The picture of a run: loss over tokens, and the load of every expert over the steps.
#pragma once
#include <string>

#include "reference/training/log.hpp"

namespace dsv3 {

/// Left: main, MTP and held-out loss over tokens. Right: the load of each expert of the last MoE layer of the main model
/// relative to the mean (white: none, dark: twice the mean or more), a column per stretch of steps.
/// `mtp_modules` is how many of the logged layers are MTP modules. Throws std::invalid_argument for an empty log.
std::string curves_svg(const std::vector<LogEntry>& log, Index mtp_modules);

}  // namespace dsv3
