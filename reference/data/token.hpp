// SPDX-License-Identifier: MIT
/// \file
/// A token is its row in the embedding matrix.
#pragma once
#include <cstdint>

namespace dsv3 {

using Token = std::int32_t;

}  // namespace dsv3
