// SPDX-License-Identifier: MIT
#include "reference/norm/rms_norm.hpp"

#include <cmath>

#include "reference/core/require.hpp"
#include "reference/core/threads.hpp"

namespace dsv3 {
namespace {

/// Eigen's mean() ends the program where there is nothing; of no channels this one is NaN, and nobody reads it.
template <class Values>
real mean(const Values& values) {
  return values.sum() / static_cast<real>(values.size());
}

}  // namespace

static_assert(Component<RmsNorm>);

RmsNorm::Recomputed RmsNorm::recompute(const Params& p, const Stored&, const Matrix& x, const Context&) const {
  require(x.cols() > 0, "RmsNorm", "x is ", shape_text(x), "; it must have at least one column");
  require(shape_of(p.g) == Shape{1, x.cols()}, "RmsNorm", "g is ", shape_text(p.g), " but x is ", shape_text(x),
          "; g needs to be [1, ", x.cols(), "]");
  Matrix rstd(x.rows(), 1);
  parallel_rows(x.rows(), [&](Index begin, Index count) {
    for (Index t = begin; t < begin + count; ++t)
      rstd(t, 0) = 1 / std::sqrt(mean(x.row(t).array().square()) + static_cast<real>(eps));
  });
  return {std::move(rstd)};
}

Forward<RmsNorm::Stored> RmsNorm::forward(const Params& p, const Matrix& x, const Context& context) const {
  const Matrix rstd = recompute(p, {}, x, context).rstd;
  Matrix y(x.rows(), x.cols());
  parallel_rows(x.rows(), [&](Index begin, Index count) {
    for (Index t = begin; t < begin + count; ++t) y.row(t).array() = x.row(t).array() * rstd(t, 0) * p.g.row(0).array();
  });
  return {std::move(y), {}};
}

Backward<RmsNorm::Deferred> RmsNorm::backward_input(const Params& p, Stored&& stored, Matrix&& x, Matrix&& dy,
                                                    const Context& context) const {
  require(shape_of(dy) == shape_of(x), "RmsNorm", "dy is ", shape_text(dy), " but x is ", shape_text(x),
          "; they need the same shape");
  const Matrix rstd = recompute(p, stored, x, context).rstd;
  Matrix dx(x.rows(), x.cols());
  parallel_rows(x.rows(), [&](Index begin, Index count) {
    for (Index t = begin; t < begin + count; ++t) {
      auto x_hat = x.row(t).array();
      x_hat *= rstd(t, 0);
      dx.row(t).array() = dy.row(t).array() * p.g.row(0).array();  // y = g x_hat
      const real along = mean(dx.row(t).array() * x_hat);          // rstd depends on x: x_hat keeps its length
      dx.row(t).array() = (dx.row(t).array() - x_hat * along) * rstd(t, 0);  // x_hat = x rstd
    }
  });
  return {std::move(dx), {std::move(x), std::move(dy)}};
}

void RmsNorm::backward_weight(Deferred&& deferred, Params& grads, const Context&) const {
  const Matrix &x_hat = deferred.x_hat, &dy = deferred.dy;
  require(shape_of(grads.g) == Shape{1, dy.cols()}, "RmsNorm", "the gradient of g is ", shape_text(grads.g),
          "; it needs to be [1, ", dy.cols(), "]");
  parallel_rows(dy.cols(), [&](Index begin, Index count) {  // blocks of columns: each sums over all rows, in order
    Array dg = Array::Zero(1, count);
    for (Index t = 0; t < dy.rows(); ++t)
      dg += dy.block(t, begin, 1, count).array() * x_hat.block(t, begin, 1, count).array();
    grads.g.middleCols(begin, count).array() += dg;
  });
}

}  // namespace dsv3
