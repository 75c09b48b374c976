// SPDX-License-Identifier: MIT
/// \file
/// RMSNorm: before attention, before the FFN, on the two latents of MLA (section 4.2) and before every output head.
#pragma once
#include "reference/core/component.hpp"
#include "reference/core/parameters.hpp"

namespace dsv3 {

template <class Tensor>
struct RmsNormWeights {
  Tensor g;  ///< gain, [1, d]

  template <class F, class... W>
  static void visit(const std::string& prefix, F&& f, W&... w) {
    f(Role::gain, prefix + "g", w.g...);
  }
};

/// y = g * x_hat, x_hat = x / sqrt(mean(x^2) + eps), for each row of x [T, d].
///
/// Numerics contract: `real` throughout, in the order rstd = 1 / sqrt(mean(x^2) + eps), x_hat = x rstd, y = x_hat g;
/// the sum of squares is taken in an order that depends on d alone. The result is never rounded to BF16 here: the
/// Linear that reads it does that, so a BF16 value is rounded once, after the gain.
/// Differs from the report: it does not print the formula. The Hugging Face code rounds x_hat to the type of x before
/// it multiplies by g, which can move a BF16 result by one unit in the last place.
struct RmsNorm {
  double eps = 1e-6;

  using Params = RmsNormWeights<Matrix>;
  struct Stored {};
  struct Recomputed {
    Matrix rstd;  ///< [T, 1]
  };
  struct Deferred {
    Matrix x_hat, dy;  ///< [T, d]
  };

  /// Throws std::invalid_argument where x has no columns or g is not [1, columns of x].
  Forward<Stored> forward(const Params& p, const Matrix& x, const Context& context) const;
  Recomputed recompute(const Params& p, const Stored& stored, const Matrix& x, const Context& context) const;
  Backward<Deferred> backward_input(const Params& p, Stored&& stored, Matrix&& x, Matrix&& dy,
                                    const Context& context) const;
  void backward_weight(Deferred&& deferred, Params& grads, const Context& context) const;
};

}  // namespace dsv3
