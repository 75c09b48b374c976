// SPDX-License-Identifier: MIT
#include "reference/mla/mla.hpp"

#include "reference/core/require.hpp"
#include "reference/linear/linear.hpp"

namespace dsv3 {

static_assert(Component<Mla>);

namespace {

/// That of the weight gradient of W_O, whose x was kept in E5M6.
Precision of_w_o(const Precision& precision) { return precision.with_powers_of_two().with_kept_x(); }

}  // namespace

void validate(const MlaConfig& config) {
  const auto at_least = [](const char* name, Index value, Index least) {
    require(value >= least, "MlaConfig", name, " is ", value, "; it must be at least ", least);
  };
  at_least("d", config.d, 1);
  at_least("n_h", config.n_h, 1);
  at_least("d_h", config.d_h, 1);
  at_least("d_v", config.d_v, 1);
  at_least("d_c", config.d_c, 1);
  at_least("d_c_prime", config.d_c_prime, 0);
  require(config.eps > 0, "MlaConfig", "eps is ", config.eps, "; it must be positive");
  validate(config.rope);
}

Mla::Mla(const MlaConfig& config)
    : config_((validate(config), config)), scale_(static_cast<real>(softmax_scale(config.d_h, config.rope))) {}

void Mla::require_fit(const Params& p, const Matrix& h) const {
  require(h.cols() == config_.d, "Mla", "h is ", shape_text(h), "; it needs ", config_.d, " columns");
  const MlaWeights<Shape> needed = mla_shapes(config_);
  Params::visit(
      "",
      [](Role, const std::string& name, const Matrix& m, const Shape& shape) {
        require(shape_of(m) == shape, "Mla", name, " is ", shape_text(m), "; it needs to be ", text(shape));
      },
      p, needed);
}

Matrix Mla::normalise(const Matrix& latent, const Matrix& g) const {
  return RmsNorm{config_.eps}.forward({g}, latent, {}).y;
}

Matrix Mla::rotary_key(const Params& p, const Matrix& h, const RopeTable& rope, const Precision& precision) const {
  Matrix k_R = fprop(p.W_KR, h, precision);  // Eq. (3)
  rope.rotate(k_R);
  return k_R;
}

Matrix Mla::compress_query(const Params& p, const Matrix& h, const Precision& precision) const {
  return config_.d_c_prime > 0 ? fprop(p.W_DQ, h, precision) : Matrix{};  // Eq. (6)
}

Mla::Queries Mla::queries(const Params& p, const Matrix& c_Q, const Matrix& h, const RopeTable& rope,
                          const Precision& precision) const {
  Queries q;
  if (config_.d_c_prime > 0) q.c_Q_hat = normalise(c_Q, p.g_Q);
  const Matrix& from = config_.d_c_prime > 0 ? q.c_Q_hat : h;
  q.q_C = fprop(p.W_UQ, from, precision);  // Eq. (7)
  q.q_R = fprop(p.W_QR, from, precision);  // Eq. (8)
  rope.rotate(q.q_R);
  return q;
}

Mla::Recomputed Mla::recompute(const Params& p, const Stored& stored, const Matrix& h, const Context& context) const {
  const RopeTable rope(config_.rope, context.sequences);
  Recomputed r;
  r.q = queries(p, stored.c_Q, h, rope, context.precision);
  r.c_KV_hat = normalise(stored.c_KV, p.g_KV);
  r.k_C = fprop(p.W_UK, r.c_KV_hat, context.precision);  // Eq. (2)
  r.v_C = fprop(p.W_UV, r.c_KV_hat, context.precision);  // Eq. (5)
  return r;
}

Forward<Mla::Stored> Mla::forward(const Params& p, const Matrix& h, const Context& context) const {
  require_fit(p, h);
  require(h.rows() == context.sequences.rows(), "Mla", "h is ", shape_text(h), " but the sequences have ",
          context.sequences.rows(), " rows");
  const Precision& precision = context.precision;
  Stored stored;
  stored.c_Q = compress_query(p, h, precision);
  stored.c_KV = fprop(p.W_DKV, h, precision);  // Eq. (1)
  stored.k_R = rotary_key(p, h, RopeTable(config_.rope, context.sequences), precision);
  const Recomputed r = recompute(p, stored, h, context);
  Matrix o = attend_heads(r, stored, context.sequences);       // Eq. (10)
  Matrix u = fprop(p.W_O, o, precision.with_powers_of_two());  // Eq. (11)

  if (config_.d_c_prime > 0) context.show("c_Q", stored.c_Q);
  context.show("c_KV", stored.c_KV);
  context.show("q_C", r.q.q_C);
  context.show("q_R", r.q.q_R);
  context.show("k_R", stored.k_R);
  context.show("o", o);
  context.show("u", u);
  stored.o = precision.keeps_fp8() ? Kept::in_e5m6(o) : Kept(std::move(o));
  return {std::move(u), std::move(stored)};
}

Backward<Mla::Deferred> Mla::backward_input(const Params& p, Stored&& stored, Matrix&& h, Matrix&& du,
                                            const Context& context) const {
  require_fit(p, h);
  require(shape_of(du) == shape_of(h) && stored.o.rows() == h.rows() && h.rows() == context.sequences.rows(), "Mla",
          "h is ", shape_text(h), ", du ", shape_text(du), ", o of ", stored.o.rows(), " rows and the sequences have ",
          context.sequences.rows(), "; they must be of the same call");
  const Precision& precision = context.precision;
  const RmsNorm norm{config_.eps};
  Recomputed r = recompute(p, stored, h, context);

  const Matrix d_o = dgrad(p.W_O, du, precision);  // u = W_O o
  Matrix o = std::move(stored.o).value();
  HeadGradients d = attend_heads_backward(r, stored, o, d_o, context.sequences);
  const RopeTable rope(config_.rope, context.sequences);
  rope.rotate_back(d.q_R);  // q_R = RoPE(W_QR c_Q_hat)
  rope.rotate_back(d.k_R);  // k_R = RoPE(W_KR h)

  // k_C = W_UK c_KV_hat, v_C = W_UV c_KV_hat; c_KV_hat = norm(c_KV); c_KV = W_DKV h, k_R = RoPE(W_KR h)
  Matrix dc_KV_hat = dgrad(p.W_UK, d.k_C, precision) + dgrad(p.W_UV, d.v_C, precision);
  auto [dc_KV, g_KV] = norm.backward_input({p.g_KV}, {}, std::move(stored.c_KV), std::move(dc_KV_hat), context);
  Matrix dh = dgrad(p.W_DKV, dc_KV, precision) + dgrad(p.W_KR, d.k_R, precision);

  // q_C = W_UQ c_Q_hat, q_R = RoPE(W_QR c_Q_hat); c_Q_hat = norm(c_Q), c_Q = W_DQ h; or c_Q_hat = h
  Matrix dc_Q_hat = dgrad(p.W_UQ, d.q_C, precision) + dgrad(p.W_QR, d.q_R, precision);
  Backward<RmsNorm::Deferred> query;
  if (config_.d_c_prime > 0) {
    query = norm.backward_input({p.g_Q}, {}, std::move(stored.c_Q), std::move(dc_Q_hat), context);
    dh += dgrad(p.W_DQ, query.dx, precision);
  } else {
    dh += dc_Q_hat;
  }
  const auto x = [&](const Matrix& W, Matrix& value) { return keep_x(W, std::move(value), precision); };
  const auto dy = [&](const Matrix& W, Matrix& value) { return keep_dy(W, std::move(value), precision); };
  return {std::move(dh),
          {.h = x(p.W_DKV, h),
           .dc_Q = dy(p.W_DQ, query.dx),
           .dc_KV = dy(p.W_DKV, dc_KV),
           .dk_R = dy(p.W_KR, d.k_R),
           .c_Q_hat = x(p.W_UQ, r.q.c_Q_hat),
           .dq_C = dy(p.W_UQ, d.q_C),
           .dq_R = dy(p.W_QR, d.q_R),
           .c_KV_hat = x(p.W_UK, r.c_KV_hat),
           .dk_C = dy(p.W_UK, d.k_C),
           .dv_C = dy(p.W_UV, d.v_C),
           .o = keep_x(p.W_O, std::move(o), of_w_o(precision)),
           .du = keep_dy(p.W_O, std::move(du), of_w_o(precision)),
           .g_Q = std::move(query.deferred),
           .g_KV = std::move(g_KV)}};
}

Index Mla::backward_width(const MlaConfig& c) {
  const Index heads = c.n_h * (2 * c.d_h + c.d_v + c.rope.width);  // q, k_C and v_C; their gradients
  const Index others =
      2 * c.n_h * c.d_v + c.rope.width + 2 * (c.d_c + c.d_c_prime);  // o, d_o; dk_R; latents, gradients
  return 2 * heads + others + 3 * c.d;                               // h, du, dh
}

void Mla::backward_weight(Deferred&& deferred, Params& grads, const Context& context) const {
  const auto& [h, dc_Q, dc_KV, dk_R, c_Q_hat, dq_C, dq_R, c_KV_hat, dk_C, dv_C, o, du, g_Q, g_KV] = deferred;
  const bool compressed = config_.d_c_prime > 0;
  const auto add = [&](Matrix& dW, const Kept& dy, const Kept& x) { wgrad(dW, dy, x, context.precision); };
  const auto add_gain = [&](Matrix& dg, RmsNorm::Deferred&& gain) {
    RmsNorm::Params sum{std::move(dg)};
    RmsNorm{config_.eps}.backward_weight(std::move(gain), sum, context);
    dg = std::move(sum.g);
  };
  add(grads.W_DKV, dc_KV, h);                          // Eq. (1)
  add(grads.W_UK, dk_C, c_KV_hat);                     // Eq. (2)
  add(grads.W_KR, dk_R, h);                            // Eq. (3)
  add(grads.W_UV, dv_C, c_KV_hat);                     // Eq. (5)
  add(grads.W_UQ, dq_C, compressed ? c_Q_hat : h);     // Eq. (7)
  add(grads.W_QR, dq_R, compressed ? c_Q_hat : h);     // Eq. (8)
  wgrad(grads.W_O, du, o, of_w_o(context.precision));  // Eq. (11)
  add_gain(grads.g_KV, std::move(deferred.g_KV));
  if (!compressed) return;
  add(grads.W_DQ, dc_Q, h);  // Eq. (6)
  add_gain(grads.g_Q, std::move(deferred.g_Q));
}

}  // namespace dsv3
