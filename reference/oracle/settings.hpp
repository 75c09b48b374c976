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

/// Takes apart what a caller says in one list: attributes of the op, and sizes by their letters. Throws
/// std::invalid_argument "oracle OP: ..." for what is neither, and for a size that is no whole number.
Settings settings_of(const Op& op, const Attributes& given);

}  // namespace dsv3::oracle
