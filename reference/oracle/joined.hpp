// SPDX-License-Identifier: MIT
/// \file
/// Lists in messages.
#pragma once
#include <functional>
#include <string>

#include "reference/core/require.hpp"

namespace dsv3::oracle {

/// "a, b, c" of what `of` says of each element.
template <class List, class Projection = std::identity>
std::string joined(const List& list, const Projection& of = {}, const std::string& between = ", ") {
  std::string out;
  for (const auto& one : list) out += concat(out.empty() ? "" : between, std::invoke(of, one));
  return out;
}

}  // namespace dsv3::oracle
