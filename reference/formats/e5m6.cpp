// SPDX-License-Identifier: MIT
#include "reference/formats/e5m6.hpp"

#include <bit>
#include <cmath>

#include "reference/core/require.hpp"

namespace dsv3 {

Words pack_e5m6(const Codes16& q) {
  Words words(q.rows(), 3 * num_groups(q.cols(), 8));
  for (Index i = 0; i < q.rows(); ++i)
    for (Index j = 0; j < q.cols(); j += 8) {
      std::uint32_t h[8] = {};
      for (Index k = 0; k < std::min<Index>(8, q.cols() - j); ++k) {
        h[k] = q(i, j + k);
        require(h[k] <= 0xFFF, "pack_e5m6", "the code at (", i, ", ", j + k, ") is ", h[k], "; 12 bits are needed");
      }
      std::uint32_t* const w = &words(i, j / 8 * 3);
      w[0] = h[0] << 20 | h[1] << 8 | h[2] >> 4;
      w[1] = h[2] << 28 | h[3] << 16 | h[4] << 4 | h[5] >> 8;
      w[2] = h[5] << 24 | h[6] << 12 | h[7];
    }
  return words;
}

Codes16 unpack_e5m6(const Words& words, Index cols) {
  require(cols >= 0 && words.cols() == 3 * num_groups(cols, 8), "unpack_e5m6", "rows of ", words.cols(), " words; ",
          cols, " columns need 3 for each 8");
  Codes16 q(words.rows(), cols);
  for (Index i = 0; i < q.rows(); ++i)
    for (Index j = 0; j < cols; ++j) {
      const std::uint32_t* const w = &words(i, j / 8 * 3);
      const Index end = 96 - (j % 8 + 1) * 12;  // bits below the code, counted from the last word's lowest
      const std::uint64_t low = (std::uint64_t{w[1]} << 32) | w[2], high = (std::uint64_t{w[0]} << 32) | w[1];
      q(i, j) = static_cast<std::uint16_t>((end >= 32 ? high >> (end - 32) : low >> end) & 0xFFF);
    }
  return q;
}

std::uint32_t e5m6_by_tile_kernels(float x) {
  const std::uint32_t low = std::bit_cast<std::uint32_t>(x) & 0x1'FFFF;
  const Overflow overflow = std::isinf(x) ? Overflow::non_saturate : Overflow::saturate;
  const std::uint32_t half = std::isnan(x) ? 0x7FFF : encode(FormatId::fp16, x, Rounding::toward_zero, overflow);
  const std::uint32_t code = half >> 4;
  return (code + ((code & 1) + low > 0x1'0000 ? 1 : 0)) & 0xFFF;
}

}  // namespace dsv3
