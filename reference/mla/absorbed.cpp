// SPDX-License-Identifier: MIT
#include "reference/mla/absorbed.hpp"

#include "reference/core/require.hpp"
#include "reference/linear/linear.hpp"
#include "reference/mla/attention.hpp"
#include "reference/mla/heads.hpp"

namespace dsv3 {
namespace {

/// Appends what the cache keeps of h; the queries of h. The new tokens are one sequence that continues the cached one.
Mla::Queries append_and_ask(const Mla& mla, const Mla::Params& p, const Matrix& h, LatentCache& cache,
                            const Context& context) {
  const Precision& precision = context.precision;
  mla.require_fit(p, h);
  Sequences continued;
  continued.add(h.rows(), cache.length);
  const RopeTable rope(mla.config().rope, continued);
  const Matrix c_KV = fprop(p.W_DKV, h, precision);  // Eq. (1)
  const Matrix c_KV_hat = mla.normalise(c_KV, p.g_KV), k_R = mla.rotary_key(p, h, rope, precision);
  cache.append(c_KV_hat, k_R);
  const Matrix c_Q = mla.compress_query(p, h, precision);
  Mla::Queries q = mla.queries(p, c_Q, h, rope, precision);
  if (mla.config().d_c_prime > 0) context.show("c_Q", c_Q);
  context.show("c_KV", c_KV);
  context.show("c_KV_hat", c_KV_hat);
  context.show("q_C", q.q_C);
  context.show("q_R", q.q_R);
  context.show("k_R", k_R);
  return q;
}

Matrix project(const Mla::Params& p, const Matrix& o, const Context& context) {
  Matrix u = fprop(p.W_O, o, context.precision.with_powers_of_two());  // Eq. (11)
  context.show("o", o);
  context.show("u", u);
  return u;
}

}  // namespace

void LatentCache::append(const Matrix& c_KV_hat, const Matrix& k_R) {
  const Index n = c_KV_hat.rows(), width = c_KV_hat.cols() + k_R.cols();
  require(length >= 0 && length <= rows.rows(), "LatentCache", "the length is ", length, "; it must be 0 .. ",
          rows.rows());
  require(k_R.rows() == n && (rows.size() == 0 || rows.cols() == width), "LatentCache", "c_KV_hat is ",
          shape_text(c_KV_hat), ", k_R ", shape_text(k_R), " and the cache ", shape_text(rows),
          "; the new rows must be as many of both and fill the cache's columns");
  if (length + n > rows.rows() || rows.cols() != width)
    rows.conservativeResize(std::max(length + n, 2 * rows.rows()), width);
  rows.block(length, 0, n, c_KV_hat.cols()) = c_KV_hat;
  rows.block(length, c_KV_hat.cols(), n, k_R.cols()) = k_R;
  length += n;
}

Matrix absorbed_attention(const Mla& mla, const Mla::Params& p, const Matrix& h, LatentCache& cache,
                          const Context& context) {
  const MlaConfig& c = mla.config();
  const Mla::Queries q = append_and_ask(mla, p, h, cache, context);
  Matrix o(h.rows(), c.n_h * c.d_v);
  for_each_head(Sequences::uniform(1, h.rows()), c.n_h, [&](const HeadBlock& at) {
    const Matrix W_UK = p.W_UK.middleRows(at.head * c.d_h, c.d_h), W_UV = p.W_UV.middleRows(at.head * c.d_v, c.d_v);
    const Matrix q_tilde = dgrad(W_UK, at.of(q.q_C, c.d_h), context.precision);
    Matrix z(h.rows(), c.d_c), lse(h.rows(), 1);
    attend(z, lse, join(q_tilde, at.of(q.q_R, c.rope.width)), cache.tokens(), cache.c_KV_hat(c.d_c),
           mla.scale());  // Eq. (10)
    at.of(o, c.d_v) = fprop(W_UV, z, context.precision);
  });
  return project(p, o, context);
}

Matrix cached_attention(const Mla& mla, const Mla::Params& p, const Matrix& h, LatentCache& cache,
                        const Context& context) {
  const MlaConfig& c = mla.config();
  const Mla::Queries q = append_and_ask(mla, p, h, cache, context);
  const Matrix c_KV_hat = cache.c_KV_hat(c.d_c);
  const Matrix k_C = fprop(p.W_UK, c_KV_hat, context.precision);  // Eq. (2)
  const Matrix v_C = fprop(p.W_UV, c_KV_hat, context.precision);  // Eq. (5)
  Matrix o(h.rows(), c.n_h * c.d_v), lse(h.rows(), c.n_h);
  for_each_head(Sequences::uniform(1, h.rows()), c.n_h, [&](const HeadBlock& at) {
    const HeadBlock key{0, cache.length, at.head};
    attend(at.of(o, c.d_v), at.of(lse, 1), join(at.of(q.q_C, c.d_h), at.of(q.q_R, c.rope.width)),
           join(key.of(k_C, c.d_h), cache.k_R(c.d_c)), key.of(v_C, c.d_v), mla.scale());  // Eqs. (4), (9), (10)
  });
  return project(p, o, context);
}

}  // namespace dsv3
