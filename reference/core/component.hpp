// SPDX-License-Identifier: MIT
/// \file
/// The interface of every layer: forward (F), backward for input (B), backward for weights (W), section 3.2.1.
#pragma once
#include <concepts>
#include <utility>

#include "reference/core/context.hpp"

namespace dsv3 {

/// What F hands on: the output now, the activations to B.
template <class Stored>
struct Forward {
  Matrix y;
  Stored stored;
};

/// What B hands on: the gradient of the input now, the operands of the weight gradients to W.
template <class Deferred>
struct Backward {
  Matrix dx;
  Deferred deferred;
};

/// A layer is a value holding its sizes and tables; its weights come with each call.
///  - `Stored` lives from F to B, `Recomputed` inside B (and F, which calls `recompute` itself), `Deferred` from B to
///  W.
///  - A layer never stores its own input: whoever made x hands it back to B, kept or recomputed.
///  - W adds to `grads`; B does not touch them.
/// The consumed arguments are rvalue references: forgetting std::move does not compile.
template <class C>
concept Component = requires(const C& c, const typename C::Params& p, typename C::Params& grads, const Matrix& x,
                             Matrix m, typename C::Stored s, typename C::Deferred w, const Context& context) {
  { c.forward(p, x, context) } -> std::same_as<Forward<typename C::Stored>>;
  { c.recompute(p, std::as_const(s), x, context) } -> std::same_as<typename C::Recomputed>;
  {
    c.backward_input(p, std::move(s), std::move(m), std::move(m), context)
    } -> std::same_as<Backward<typename C::Deferred>>;
  { c.backward_weight(std::move(w), grads, context) } -> std::same_as<void>;
};

}  // namespace dsv3
