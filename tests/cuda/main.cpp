// SPDX-License-Identifier: MIT
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <iostream>

#include "cuda/core/device.hpp"

/// As the tests' usual one, but where there is no device the status is what ctest calls skipped.
int main(int argc, char** argv) {
  if (const std::string reason = dsv3::cuda::why_not(); !reason.empty()) {
    std::cout << "skipped: " << reason << '\n';
    return 77;
  }
  std::cout << "device: " << dsv3::cuda::device().name << '\n';
  return doctest::Context(argc, argv).run();
}
