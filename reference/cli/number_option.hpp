// SPDX-License-Identifier: MIT
/// \file
/// Options that are numbers.
#pragma once
#include <CLI/CLI.hpp>
#include <charconv>
#include <limits>
#include <string>

#include "reference/core/require.hpp"

namespace dsv3::cli {

/// An option that takes a number from `least` to `most`. CLI11's own words name neither what is nor what is needed.
template <class Number>
CLI::Option* number(CLI::App* c, const char* name, Number& value, Number least, const char* what,
                    Number most = std::numeric_limits<Number>::max()) {
  return c->add_option(name, value, what)->capture_default_str()->check([=](const std::string& given) {
    constexpr bool whole = std::is_integral_v<Number>;
    Number parsed{};
    const char* const end = given.data() + given.size();
    const auto [stop, error] = std::from_chars(given.data(), end, parsed);
    const bool is_number = error == std::errc() && stop == end;
    if (is_number && parsed >= least && parsed <= most) return std::string();
    std::string range =
        !whole && least == std::numeric_limits<Number>::min() ? " above 0" : concat(" of at least ", least);
    if (most != std::numeric_limits<Number>::max()) range += concat(" and at most ", most);
    else if (whole && error == std::errc::result_out_of_range)
      range += concat(" and at most 2^", std::numeric_limits<Number>::digits, " - 1");
    throw std::invalid_argument(
        concat(name, " is ", given, "; it must be a ", whole ? "whole " : "finite ", "number", range));
  });
}

}  // namespace dsv3::cli
