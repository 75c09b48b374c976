// SPDX-License-Identifier: MIT
// A layer that lacks one of the four functions is no Component, and the message names the function.
#include "tests/compile_fail/scale.hpp"

static_assert(dsv3::Component<dsv3::test::Scale>);
