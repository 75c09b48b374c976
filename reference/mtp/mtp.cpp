// SPDX-License-Identifier: MIT
#include "reference/mtp/mtp.hpp"

#include "reference/core/require.hpp"
#include "reference/linear/linear.hpp"

namespace dsv3 {

Matrix MtpInput::forward(const MtpWeights<Matrix>& p, const Matrix& x, const Context& context) const {
  const Index d = p.M.rows();
  require(x.cols() == 2 * d, "mtp", "x is ", shape_text(x), "; it needs ", 2 * d,
          " columns: hidden state and embedding");
  Matrix normed(x.rows(), 2 * d);
  normed.middleCols(hidden_column(d), d) = norm.forward(p.norm_hidden, x.leftCols(d), context).y;
  normed.middleCols(d - hidden_column(d), d) = norm.forward(p.norm_embedding, x.rightCols(d), context).y;
  return normed;
}

MtpInput::Gradient MtpInput::backward(const MtpWeights<Matrix>& p, const Matrix& x, const Matrix& d_normed,
                                      const Context& context) const {
  const Index d = p.M.rows();
  auto [dh, norm_hidden_w] =
      norm.backward_input(p.norm_hidden, {}, x.leftCols(d), d_normed.middleCols(hidden_column(d), d), context);
  auto [de, norm_embedding_w] =
      norm.backward_input(p.norm_embedding, {}, x.rightCols(d), d_normed.middleCols(d - hidden_column(d), d), context);
  Matrix dx(x.rows(), 2 * d);
  dx << dh, de;
  return {std::move(dx), std::move(norm_hidden_w), std::move(norm_embedding_w)};
}

Mtp::Mtp(const ModelConfig& config) : input{config.mtp_order, {config.eps}}, block(config, config.L) {}

Forward<Mtp::Stored> Mtp::forward(const Params& p, const Matrix& x, const Context& context) const {
  Matrix h_prime = fprop(p.M, input.forward(p, x, context), context.precision);  // Eq. (21)
  auto [h, block_stored] = block.forward(p.block, h_prime, context);             // Eq. (22)
  return {std::move(h), {std::move(h_prime), std::move(block_stored)}};
}

Mtp::Recomputed Mtp::recompute(const Params& p, const Stored&, const Matrix& x, const Context& context) const {
  return {input.forward(p, x, context)};
}

Backward<Mtp::Deferred> Mtp::backward_input(const Params& p, Stored&& s, Matrix&& x, Matrix&& dy,
                                            const Context& context) const {
  auto [normed] = recompute(p, s, x, context);
  auto [d_h_prime, block_w] =
      block.backward_input(p.block, std::move(s.block), std::move(s.h_prime), std::move(dy), context);
  const Matrix d_normed = dgrad(p.M, d_h_prime, context.precision);  // Eq. (21)
  auto [dx, norm_hidden_w, norm_embedding_w] = input.backward(p, x, d_normed, context);
  return {std::move(dx),
          {std::move(norm_hidden_w), std::move(norm_embedding_w), keep_x(p.M, std::move(normed), context.precision),
           keep_dy(p.M, std::move(d_h_prime), context.precision), std::move(block_w)}};
}

void Mtp::backward_weight(Deferred&& w, Params& grads, const Context& context) const {
  input.norm.backward_weight(std::move(w.norm_hidden), grads.norm_hidden, context);
  input.norm.backward_weight(std::move(w.norm_embedding), grads.norm_embedding, context);
  wgrad(grads.M, w.d_h_prime, w.normed, context.precision);  // Eq. (21)
  block.backward_weight(std::move(w.block), grads.block, context);
}

}  // namespace dsv3
