// SPDX-License-Identifier: MIT
/// \file
/// The folder of a tour, and its deletion where a new tour takes its place.
#pragma once
#include <filesystem>

#include "reference/training/run_lock.hpp"

namespace dsv3::cli {

inline constexpr const char* comparison_folder = "without_bias";  ///< of the second run, inside the tour's

/// Throws std::runtime_error naming the first thing in the folder that no tour has written, or what is not its own: an
/// empty or missing folder and that of a tour, complete or not, are fine.
void require_tour_folder(const std::filesystem::path& out);

/// Deletes what an old tour has left, after the same check, and marks the folder as a tour's.
void begin_tour_folder(const RunLock& lock);

}  // namespace dsv3::cli
