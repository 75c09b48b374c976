// SPDX-License-Identifier: MIT
/// \file
/// The commands and their options: text in, plain structs out.
#pragma once
#include <CLI/CLI.hpp>

namespace dsv3::cli {

/// Adds every command. The one that is parsed runs and leaves its exit status in `status`; numbers that cannot be right
/// throw std::invalid_argument "--option is X; it must be ...".
void add_commands(CLI::App& app, int& status);

/// A command below `app`; each line of `example` is one to try.
CLI::App* command(CLI::App& app, const char* name, const char* what, const char* example);

void add_oracle(CLI::App& app, int& status);

}  // namespace dsv3::cli
