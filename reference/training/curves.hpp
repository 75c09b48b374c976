// SPDX-License-Identifier: MIT
/// \file
/// The picture of a run: loss over tokens, and the load of every expert over the steps.
#pragma once
#include <string>

#include "reference/plot/chart.hpp"
#include "reference/training/log.hpp"

namespace dsv3 {

/// Main, MTP and held-out loss over tokens; the first two as means over stretches of steps, at most 120 of them.
plot::LineChart loss_chart(const std::vector<LogEntry>& log);

/// As Figure 9: the load of each expert of the last MoE layer of the main model relative to the mean load (white: none,
/// dark: twice the mean or more), a column per stretch of steps. `mtp_modules` is how many of the logged layers are MTP
/// modules. Throws std::invalid_argument for an empty log and for a model without MoE layers.
plot::HeatMap load_map(const std::vector<LogEntry>& log, Index mtp_modules, const std::string& title);

/// Both side by side, the second only if the model has MoE layers.
std::string curves_svg(const std::vector<LogEntry>& log, Index mtp_modules);

}  // namespace dsv3
