// SPDX-License-Identifier: MIT
#include "reference/model/block.hpp"

#include "reference/linear/linear.hpp"

namespace dsv3 {

Block::Block(const ModelConfig& config, Index layer) : mla(config.mla), ffn(config.ffn(layer)), norm{config.eps} {}

Forward<Block::Stored> Block::forward(const Params& p, const Matrix& x, const Context& context) const {
  const Matrix h = norm.forward(p.norm_attention, x, context).y;
  context.show("norm_attention.out", h);
  auto [u, mla_stored] = mla.forward(p.mla, h, context);
  Matrix x_prime = round_to(context.precision, x + u);  // x' = x + MLA(RMSNorm(x))
  const Matrix h_prime = norm.forward(p.norm_ffn, x_prime, context).y;
  context.show("x_prime", x_prime);
  context.show("norm_ffn.out", h_prime);
  auto [f, ffn_stored] = ffn.forward(p.ffn, h_prime, context);
  Matrix y = round_to(context.precision, x_prime + f);  // y = x' + FFN(RMSNorm(x'))
  context.show("ffn.out", f);
  context.show("out", y);
  return {std::move(y), {std::move(mla_stored), std::move(x_prime), std::move(ffn_stored)}};
}

Backward<Block::Deferred> Block::backward_input(const Params& p, Stored&& s, Matrix&& x, Matrix&& dy,
                                                const Context& context) const {
  Matrix h_prime = norm.forward(p.norm_ffn, s.x_prime, context).y;
  auto [dh_prime, ffn_w] = ffn.backward_input(p.ffn, std::move(s.ffn), std::move(h_prime), Matrix(dy), context);
  auto [dn_prime, norm_ffn_w] = norm.backward_input(p.norm_ffn, {}, std::move(s.x_prime), std::move(dh_prime), context);
  Matrix dx_prime = round_to(context.precision, dy + dn_prime);  // y = x' + FFN(RMSNorm(x'))

  Matrix h = norm.forward(p.norm_attention, x, context).y;
  auto [dh, mla_w] = mla.backward_input(p.mla, std::move(s.mla), std::move(h), Matrix(dx_prime), context);
  auto [dn, norm_attention_w] = norm.backward_input(p.norm_attention, {}, std::move(x), std::move(dh), context);
  Matrix dx = round_to(context.precision, dx_prime + dn);  // x' = x + MLA(RMSNorm(x))
  return {std::move(dx), {std::move(norm_attention_w), std::move(mla_w), std::move(norm_ffn_w), std::move(ffn_w)}};
}

void Block::backward_weight(Deferred&& w, Params& grads, const Context& context) const {
  norm.backward_weight(std::move(w.norm_attention), grads.norm_attention, context);
  mla.backward_weight(std::move(w.mla), grads.mla, context);
  norm.backward_weight(std::move(w.norm_ffn), grads.norm_ffn, context);
  ffn.backward_weight(std::move(w.ffn), grads.ffn, context);
}

}  // namespace dsv3
