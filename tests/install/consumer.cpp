// SPDX-License-Identifier: MIT
// fprop of the installed library on numbers small enough for paper; and an error, which formats text in the library.
#include <cstdio>
#include <stdexcept>

#include "reference/linear/linear.hpp"

int main() {
  dsv3::Matrix W(2, 3), x(1, 3), expected(1, 2);
  W << 1, 2, 3, 4, 5, 6;
  x << 1, 0, -1;
  expected << -2, -2;
  if (dsv3::fprop(W, x) != expected) {
    std::puts("fprop of the installed library is wrong");
    return 1;
  }
  try {
    dsv3::fprop(W, dsv3::Matrix::Zero(1, 2));
  } catch (const std::invalid_argument& error) {
    std::printf("%zu-byte reals; a wrong shape says: %s\n", sizeof(dsv3::real), error.what());
    return 0;
  }
  std::puts("fprop of the installed library accepts a wrong shape");
  return 1;
}
