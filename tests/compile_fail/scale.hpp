// SPDX-License-Identifier: MIT
/// \file
/// The smallest component, y = a x with one weight a: what the programs of this folder use and misuse.
#pragma once
#include "reference/core/component.hpp"

namespace dsv3::test {

template <class Tensor>
struct ScaleWeights {
  Tensor a;
};

struct Scale {
  using Params = ScaleWeights<Matrix>;
  struct Stored {};
  struct Recomputed {};
  struct Deferred {
    Matrix da;
  };

  Forward<Stored> forward(const Params& p, const Matrix& x, const Context&) const { return {x * p.a(0, 0), {}}; }
#ifndef WITHOUT_RECOMPUTE
  Recomputed recompute(const Params&, const Stored&, const Matrix&, const Context&) const { return {}; }
#endif
#ifndef WITHOUT_BACKWARD_INPUT
  Backward<Deferred> backward_input(const Params& p, Stored&&, Matrix&& x, Matrix&& dy, const Context&) const {
    Matrix da = Matrix::Constant(1, 1, dy.cwiseProduct(x).sum());
    return {dy * p.a(0, 0), {std::move(da)}};
  }
#endif
#ifndef WITHOUT_BACKWARD_WEIGHT
  void backward_weight(Deferred&& deferred, Params& grads, const Context&) const { grads.a += deferred.da; }
#endif
};

}  // namespace dsv3::test
