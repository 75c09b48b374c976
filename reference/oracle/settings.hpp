// SPDX-License-Identifier: MIT
/// \file
/// What a case is drawn with.
#pragma once
#include "reference/oracle/op.hpp"

namespace dsv3::oracle {

struct Settings {
  Attributes attributes;
  Sizes sizes;
};

/// Takes apart what a caller says in one list: what is no attribute of the op is a size. Throws std::invalid_argument
/// "oracle OP: ..." for one that is no whole number.
Settings settings_of(const Op& op, const Attributes& given);

}  // namespace dsv3::oracle
