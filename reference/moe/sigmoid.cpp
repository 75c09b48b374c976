// SPDX-License-Identifier: MIT
#include "reference/moe/sigmoid.hpp"

#include <algorithm>

namespace dsv3 {
namespace {

constexpr Index width = 16;  // a whole number of packets of every instruction set
using Chunk = Eigen::Array<real, width, 1>;

template <class F>
void by_chunks(const real* x, real* out, Index n, const F& f) {
  const Index whole = n / width * width;
  for (Index i = 0; i < whole; i += width) Eigen::Map<Chunk>(out + i) = f(Eigen::Map<const Chunk>(x + i));
  if (whole == n) return;
  Chunk rest = Chunk::Zero();
  std::copy(x + whole, x + n, rest.data());
  const Chunk value = f(rest);
  std::copy(value.data(), value.data() + (n - whole), out + whole);
}

}  // namespace

void exponential(const real* x, real* out, Index n) {
  by_chunks(x, out, n, [](const auto& v) -> Chunk { return v.exp(); });
}

void sigmoid(const real* x, real* out, Index n) {
  by_chunks(x, out, n, [](const auto& v) -> Chunk { return (1 + (-v).exp()).inverse(); });
}

}  // namespace dsv3
