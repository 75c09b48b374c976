// SPDX-License-Identifier: MIT
// A program that calls nothing: real.hpp alone, which every header includes, keeps it from the wrong library.
#include "reference/core/real.hpp"

int main() { return sizeof(dsv3::real) < 4; }
