// SPDX-License-Identifier: MIT
#include "reference/formats/bf16.hpp"

#include "reference/core/threads.hpp"

namespace dsv3 {

Matrix round_to_bf16(Matrix m) {
  parallel_rows(
      m.size(),
      [&](Index begin, Index count) {
        real* const x = m.data() + begin;
        for (Index i = 0; i < count; ++i)
          x[i] = static_cast<real>(float_from_bf16(bf16_from_float(static_cast<float>(x[i]))));
      },
      1 << 15);
  return m;
}

}  // namespace dsv3
