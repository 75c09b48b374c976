// SPDX-License-Identifier: MIT
// What B and W consume must be moved into them, so that a stored activation cannot be used twice by accident.
#include "tests/compile_fail/scale.hpp"

using namespace dsv3;
using namespace dsv3::test;

Matrix gradient_of_a(const Scale& scale, const Scale::Params& p, Matrix x, Matrix dy, const Context& context) {
  Forward<Scale::Stored> f = scale.forward(p, x, context);
#ifdef FORGET_MOVE_OF_STORED
  auto b = scale.backward_input(p, f.stored, std::move(x), std::move(dy), context);
#else
  auto b = scale.backward_input(p, std::move(f.stored), std::move(x), std::move(dy), context);
#endif
  Scale::Params grads{Matrix::Zero(1, 1)};
#ifdef FORGET_MOVE_OF_DEFERRED
  scale.backward_weight(b.deferred, grads, context);
#else
  scale.backward_weight(std::move(b.deferred), grads, context);
#endif
  return grads.a;
}
