// SPDX-License-Identifier: MIT
#include "reference/mla/heads.hpp"

#include "reference/mla/attention.hpp"
#include "reference/mla/mla.hpp"

namespace dsv3 {

Matrix Mla::attend_heads(const Recomputed& r, Stored& stored, const Sequences& sequences) const {
  const Index d_h = config_.d_h, d_h_R = config_.rope.width, d_v = config_.d_v;
  Matrix o(sequences.rows(), config_.n_h * d_v);
  stored.lse.resize(sequences.rows(), config_.n_h);
  for_each_head(sequences, config_.n_h, [&](const HeadBlock& at) {
    const Matrix k = join(at.of(r.k_C, d_h), at.shared(stored.k_R));               // Eq. (4)
    const Matrix q = join(at.of(r.q.q_C, d_h), at.of(r.q.q_R, d_h_R));             // Eq. (9)
    attend(at.of(o, d_v), at.of(stored.lse, 1), q, k, at.of(r.v_C, d_v), scale_);  // Eq. (10)
  });
  return o;
}

Mla::HeadGradients Mla::attend_heads_backward(const Recomputed& r, const Stored& stored, const Matrix& o,
                                              const Matrix& d_o, const Sequences& sequences) const {
  const Index d_h = config_.d_h, d_h_R = config_.rope.width, d_v = config_.d_v;
  const Index T = sequences.rows(), n_h = config_.n_h;
  HeadGradients d{Matrix(T, n_h * d_h), Matrix(T, n_h * d_h_R), Matrix(T, n_h * d_h), {}, Matrix(T, n_h * d_v)};
  Matrix dk_R_of_head(T, n_h * d_h_R);
  for_each_head(sequences, n_h, [&](const HeadBlock& at) {
    const Matrix k = join(at.of(r.k_C, d_h), at.shared(stored.k_R));    // Eq. (4)
    const Matrix q = join(at.of(r.q.q_C, d_h), at.of(r.q.q_R, d_h_R));  // Eq. (9)
    Matrix dk(k.rows(), k.cols()), dq(q.rows(), q.cols());
    attend_backward(dq, dk, at.of(d.v_C, d_v), q, k, at.of(r.v_C, d_v), at.of(o, d_v), at.of(stored.lse, 1),
                    at.of(d_o, d_v), scale_);  // Eq. (10)
    at.of(d.k_C, d_h) = dk.leftCols(d_h);
    at.of(dk_R_of_head, d_h_R) = dk.rightCols(d_h_R);
    at.of(d.q_C, d_h) = dq.leftCols(d_h);
    at.of(d.q_R, d_h_R) = dq.rightCols(d_h_R);
  });
  d.k_R = sum_over_heads(dk_R_of_head, d_h_R);  // one k_R for all heads
  return d;
}

}  // namespace dsv3
