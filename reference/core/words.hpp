// SPDX-License-Identifier: MIT
/// \file
/// Words that somebody may have misspelt.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace dsv3 {

/// Of `known`, the word that `word` was probably meant to be: the nearest one, at most two letters wrong, missing, too
/// many or swapped, and fewer than half of the letters. Empty if there is none.
std::string nearest_word(std::string_view word, const std::vector<std::string>& known);

/// "; did you mean quantise?", empty where nothing is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);

}  // namespace dsv3
