// SPDX-License-Identifier: MIT
#include "reference/core/require.hpp"

#include <doctest/doctest.h>

using namespace dsv3;

TEST_CASE("require: says where, what is and what is needed, in std::invalid_argument") {
  CHECK_THROWS_WITH_AS(require(false, "fprop", "x is ", 3, " wide; W needs ", 4.5), "fprop: x is 3 wide; W needs 4.5",
                       std::invalid_argument);
  CHECK_NOTHROW(require(true, "fprop", "nothing"));
}

TEST_CASE("require_world: the same in std::runtime_error, which is no std::invalid_argument") {
  CHECK_THROWS_WITH_AS(require_world(false, "load", "file ", std::string("a.bin"), " is empty"),
                       "load: file a.bin is empty", std::runtime_error);
  CHECK_NOTHROW(require_world(true, "load", "nothing"));
}

TEST_CASE("concat: parts one after the other") { CHECK(concat("a", 1, 'b', 2.5) == "a1b2.5"); }
