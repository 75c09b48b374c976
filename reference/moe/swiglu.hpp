// SPDX-License-Identifier: MIT
/// \file
/// The feed-forward network with SwiGLU: FFN_i of Eq. (12), and the whole FFN of a dense layer.
#pragma once
#include "reference/core/component.hpp"
#include "reference/core/parameters.hpp"
#include "reference/linear/kept.hpp"

namespace dsv3 {

/// d: model width; f: width of the network. No biases.
template <class Tensor>
struct SwigluWeights {
  Tensor W_gate, W_up;  ///< [f, d]
  Tensor W_down;        ///< [d, f]

  template <class F, class... W>
  static void visit(const std::string& prefix, F&& f, W&... w) {
    f(Role::weight, prefix + "W_gate", w.W_gate...);
    f(Role::weight, prefix + "W_up", w.W_up...);
    f(Role::weight, prefix + "W_down", w.W_down...);
  }
};

SwigluWeights<Shape> swiglu_shapes(Index d, Index f);

/// FFN(u) = W_down (silu(W_gate u) * (W_up u)), silu(a) = a Sigmoid(a). The report names SwiGLU without an equation.
///
/// Keeps a and b, the inputs of the SwiGLU operator, from F to B and recomputes its output z, section 3.3.3.
///
/// Numerics contract: a, b, h as in linear.hpp. z = (a * Sigmoid(a)) * b, two roundings of `real`; in bf16 z is then
/// rounded to BF16, which the down projection would do anyway. The gradients da, db and the sum du = W_gate^T da +
/// W_up^T db stay in `real`.
///
/// Throws std::invalid_argument where shapes do not fit.
///
/// fp8: a and b are kept in FP8, so B sees them (and z) quantised, which F did not. Where context.dispatched, the
/// scales of u in F and of dh in B, and of what W reads, are powers of two. From B to W all operands wait as codes.
struct SwigluFfn {
  using Params = SwigluWeights<Matrix>;
  struct Stored {
    Kept a, b;  ///< W_gate u and W_up u, [T, f]
  };
  struct Recomputed {
    Matrix z;  ///< silu(a) * b, [T, f]
  };
  struct Deferred {
    Kept u, z, dh, da, db;
  };

  Forward<Stored> forward(const Params& p, const Matrix& u, const Context& context) const;
  Recomputed recompute(const Params& p, const Stored& stored, const Matrix& u, const Context& context) const;
  Backward<Deferred> backward_input(const Params& p, Stored&& stored, Matrix&& u, Matrix&& dh,
                                    const Context& context) const;
  void backward_weight(Deferred&& deferred, Params& grads, const Context& context) const;

 private:
  static Matrix activate(const Matrix& a, const Matrix& b, const Precision& precision);  ///< z
};
static_assert(Component<SwigluFfn>);

struct SwigluGradient {
  Matrix da, db;
};

/// Through z = silu(a) * b: da = dz b Sigmoid(a) (1 + a (1 - Sigmoid(a))), db = dz silu(a). Takes the place of a and b.
SwigluGradient swiglu_backward(SwigluFfn::Stored&& stored, const Matrix& dz);

/// That of what comes to an expert from other ranks or goes back to them: in FP8 with powers of two as scales if so.
inline Precision arriving(const Context& context) {
  return context.dispatched ? context.precision.with_powers_of_two() : context.precision;
}

}  // namespace dsv3
