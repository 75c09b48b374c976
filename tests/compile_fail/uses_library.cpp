// SPDX-License-Identifier: MIT
// A program that uses no symbol whose name depends on `real`: only real.hpp keeps it from the wrong library.
#include "reference/core/random.hpp"

int main() { return dsv3::Random(1).below(1) == 0 ? 0 : 1; }
