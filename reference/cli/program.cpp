// SPDX-License-Identifier: MIT
#include "reference/cli/program.hpp"

#include <cstdlib>

namespace dsv3::cli {
namespace {

volatile std::sig_atomic_t interrupted = 0;

}  // namespace

std::string program_name() {
  const char* const name = std::getenv("DSV3_NAME");
  return name != nullptr && name[0] != '\0' ? name : "dsv3";
}

Interrupt::Interrupt() {
  interrupted = 0;
  struct sigaction once {};
  once.sa_handler = [](int) { interrupted = 1; };
  once.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  ::sigaction(SIGINT, &once, &before_);
}

Interrupt::~Interrupt() { ::sigaction(SIGINT, &before_, nullptr); }

bool Interrupt::asked() { return interrupted != 0; }

}  // namespace dsv3::cli
