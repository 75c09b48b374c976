// SPDX-License-Identifier: MIT
// A second file of the same program; with PART_IS_DOUBLE it was compiled for the other library.
#ifdef PART_IS_DOUBLE
#define DSV3_REAL_IS_DOUBLE
#endif
#include "reference/core/real.hpp"

std::size_t part() { return sizeof(dsv3::real); }
