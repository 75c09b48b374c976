// SPDX-License-Identifier: MIT
#include "reference/core/real.hpp"

namespace dsv3 {
#ifdef DSV3_REAL_IS_DOUBLE
const char f64::library = 0;
#else
const char f32::library = 0;
#endif

extern const char one_library_per_program;
/// Both libraries define it: a program that links the two does not link.
const char one_library_per_program = 0;
}  // namespace dsv3
