// SPDX-License-Identifier: MIT
#include "reference/formats/e4m3.hpp"

namespace dsv3 {

const std::array<float, 256>& e4m3_values() {
  static constexpr std::array<float, 256> values = [] {
    std::array<float, 256> all{};
    for (std::size_t code = 0; code < 256; ++code) all[code] = float_from_e4m3(static_cast<std::uint8_t>(code));
    return all;
  }();
  return values;
}

}  // namespace dsv3
