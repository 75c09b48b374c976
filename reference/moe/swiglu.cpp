// SPDX-License-Identifier: MIT
#include "reference/moe/swiglu.hpp"

#include "reference/core/require.hpp"
#include "reference/core/threads.hpp"
#include "reference/linear/linear.hpp"
#include "reference/moe/sigmoid.hpp"

namespace dsv3 {
namespace {

using Values = Eigen::Map<Eigen::Array<real, Eigen::Dynamic, 1>>;
using ConstValues = Eigen::Map<const Eigen::Array<real, Eigen::Dynamic, 1>>;

/// f(begin, sigma) for runs of consecutive values of a, sigma = Sigmoid of the run.
template <class F>
void with_sigmoid(const Matrix& a, const F& f) {
  constexpr Index run = 2048;
  parallel_rows(
      a.size(),
      [&](Index begin, Index count) {
        Eigen::Array<real, Eigen::Dynamic, 1, 0, run, 1> sigma(count);
        sigmoid(a.data() + begin, sigma.data(), count);
        f(begin, sigma);
      },
      run);
}

}  // namespace

SwigluWeights<Shape> swiglu_shapes(Index d, Index f) { return {{f, d}, {f, d}, {d, f}}; }

Matrix SwigluFfn::activate(const Matrix& a, const Matrix& b, const Precision& precision) {
  require(shape_of(a) == shape_of(b), "SwigluFfn", "a is ", shape_text(a), " but b is ", shape_text(b),
          "; W_gate and W_up need the same shape");
  Matrix z(a.rows(), a.cols());
  with_sigmoid(a, [&](Index begin, const auto& sigma) {
    const Index n = sigma.size();
    Values(z.data() + begin, n) = ConstValues(a.data() + begin, n) * sigma * ConstValues(b.data() + begin, n);
  });
  return round_to(precision, std::move(z));
}

Forward<SwigluFfn::Stored> SwigluFfn::forward(const Params& p, const Matrix& u, const Context& context) const {
  const Precision& precision = context.precision;
  Matrix a = fprop(p.W_gate, u, arriving(context)), b = fprop(p.W_up, u, arriving(context));
  Matrix h = fprop(p.W_down, activate(a, b, precision), precision);
  if (precision.keeps_fp8())
    return {std::move(h), {Kept::in_fp8(a, precision.recipe), Kept::in_fp8(b, precision.recipe)}};
  return {std::move(h), {std::move(a), std::move(b)}};
}

SwigluFfn::Recomputed SwigluFfn::recompute(const Params&, const Stored& stored, const Matrix&,
                                           const Context& context) const {
  Matrix a, b;  // where they were kept as codes
  return {activate(stored.a.read(a), stored.b.read(b), context.precision)};
}

SwigluGradient swiglu_backward(SwigluFfn::Stored&& stored, const Matrix& dz) {
  Matrix a = std::move(stored.a).value(), b = std::move(stored.b).value();
  require(shape_of(dz) == shape_of(a), "swiglu_backward", "dz is ", shape_text(dz), " but a is ", shape_text(a),
          "; they need the same shape");
  with_sigmoid(a, [&](Index begin, const auto& sigma) {
    const Index n = sigma.size();
    Values da(a.data() + begin, n), db(b.data() + begin, n);
    const ConstValues dz_(dz.data() + begin, n);
    const Eigen::Array<real, Eigen::Dynamic, 1> a_ = da;
    da = dz_ * db * sigma * (1 + a_ * (1 - sigma));
    db = dz_ * a_ * sigma;
  });
  return {std::move(a), std::move(b)};
}

Backward<SwigluFfn::Deferred> SwigluFfn::backward_input(const Params& p, Stored&& stored, Matrix&& u, Matrix&& dh,
                                                        const Context& context) const {
  Matrix z = recompute(p, stored, u, context).z;
  const Matrix dz = dgrad(p.W_down, dh, arriving(context));  // h = W_down z
  auto [da, db] = swiglu_backward(std::move(stored), dz);    // z = silu(a) * b
  Matrix du = dgrad(p.W_gate, da, context.precision);        // a = W_gate u
  du += dgrad(p.W_up, db, context.precision);                // b = W_up u
  const Precision of_w = arriving(context);
  return {std::move(du),
          {keep_x(p.W_gate, std::move(u), of_w), keep_x(p.W_down, std::move(z), of_w),
           keep_dy(p.W_down, std::move(dh), of_w), keep_dy(p.W_gate, std::move(da), of_w),
           keep_dy(p.W_up, std::move(db), of_w)}};
}

void SwigluFfn::backward_weight(Deferred&& deferred, Params& grads, const Context& context) const {
  const auto [u, z, dh, da, db] = std::move(deferred);
  wgrad(grads.W_down, dh, z, arriving(context));
  wgrad(grads.W_gate, da, u, arriving(context));
  wgrad(grads.W_up, db, u, arriving(context));
}

}  // namespace dsv3
