// SPDX-License-Identifier: MIT
/// \file
/// What all commands share: how the program was called, and Ctrl-C.
#pragma once
#include <csignal>
#include <string>

namespace dsv3::cli {

/// What a user types to start the program: "./dsv3" where the launcher did (it sets DSV3_NAME), else "dsv3".
std::string program_name();

/// While it lives, the first Ctrl-C only sets a flag and the next one ends the program. One at a time.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  static bool asked();
  static constexpr int status = 128 + SIGINT;  ///< as the shell reports it

 private:
  struct sigaction before_ {};
};

}  // namespace dsv3::cli
