// SPDX-License-Identifier: MIT
/// \file
/// Multi-head Latent Attention as it trains, Eqs. (1) to (11); what a decoder does instead is in absorbed.hpp.
#pragma once
#include "reference/core/component.hpp"
#include "reference/linear/kept.hpp"
#include "reference/mla/weights.hpp"
#include "reference/norm/rms_norm.hpp"
#include "reference/rope/rope.hpp"

namespace dsv3 {

/// Throws std::invalid_argument naming the first field that cannot be right and what it needs.
void validate(const MlaConfig& config);

/// u_t = W_O [o_{t,1}; ...; o_{t,n_h}], causal within each sequence of the context.
///
///     (1) c_KV = W_DKV h             (6) c_Q = W_DQ h
///     (2) k_C = W_UK norm(c_KV)      (7) q_C = W_UQ norm(c_Q)
///     (3) k_R = RoPE(W_KR h)         (8) q_R = RoPE(W_QR norm(c_Q))
///     (4) k_i = [k_C_i; k_R]         (9) q_i = [q_C_i; q_R_i]
///     (5) v_C = W_UV norm(c_KV)     (10) o_i = sum over j <= t of softmax_j(scale q_i k_i) v_C_i
///                                   (11) u = W_O o
///
/// Without query compression (d_c' = 0) Eqs. (7) and (8) read h. All heads share the one k_R. Values of all heads lie
/// side by side, head-major.
///
/// Numerics contract: the products with weights follow `context.precision`; norms, RoPE, scores, softmax and o run in
/// `real` and are not rounded in between. scale: see softmax_scale.
/// fp8: o, the input of W_O, is quantised with powers of two as scales; it is kept in E5M6, which is what B and W read.
/// From B to W the operands of the weight gradients wait as codes.
/// Intermediate values shown: c_Q, c_KV (before their norms), q_C, q_R, k_R (after RoPE), o, u.
/// Differs from the report: the equations leave out the RMSNorm on the two latents, which section 4.2 names; k_R is not
/// normalised. The factors at "width bottlenecks" of section 4.2 have no published value and are 1, as in the released
/// code. With YaRN the scale has the factor of section 4.3. Section 3.3.3 does not say whether F, too, reads o in E5M6;
/// tensor cores have no such products, so here F reads o in the recipe's format.
class Mla {
 public:
  using Params = MlaWeights<Matrix>;

  /// From F to B. What section 3.2.3 recomputes is not among it.
  struct Stored {
    Matrix c_Q;   ///< [T, d_c'] before the norm; [0, 0] without query compression
    Matrix c_KV;  ///< [T, d_c] before the norm
    Matrix k_R;   ///< [T, d_h^R] after RoPE
    Kept o;       ///< [T, n_h d_v]; fp8: in E5M6
    Matrix lse;   ///< [T, n_h], see attend
  };
  struct Queries {
    Matrix c_Q_hat;  ///< [T, d_c'] after the norm; [0, 0] without query compression
    Matrix q_C;      ///< [T, n_h d_h]
    Matrix q_R;      ///< [T, n_h d_h^R] after RoPE
  };
  struct Recomputed {
    Queries q;
    Matrix c_KV_hat;  ///< [T, d_c] after the norm
    Matrix k_C;       ///< [T, n_h d_h]
    Matrix v_C;       ///< [T, n_h d_v]
  };
  /// Of the operands of Eq. (10), for all heads; k_R summed over them.
  struct HeadGradients {
    Matrix q_C, q_R, k_C, k_R, v_C;
  };
  /// The operands of the weight gradients; those of the heads before RoPE.
  struct Deferred {
    Kept h, dc_Q, dc_KV, dk_R;  ///< of W_DQ, W_DKV and W_KR
    Kept c_Q_hat, dq_C, dq_R;   ///< of W_UQ and W_QR; c_Q_hat is [0, 0] where these read h
    Kept c_KV_hat, dk_C, dv_C;  ///< of W_UK and W_UV
    Kept o, du;                 ///< of W_O
    RmsNorm::Deferred g_Q, g_KV;
  };

  /// Values for each token in the matrices that B has at its end, what it hands to W as it is included.
  static Index backward_width(const MlaConfig& config);

  /// Throws as validate does.
  explicit Mla(const MlaConfig& config);

  /// \param h [T, d], rows as in context.sequences. Throws std::invalid_argument where shapes or positions do not fit.
  Forward<Stored> forward(const Params& p, const Matrix& h, const Context& context) const;
  Recomputed recompute(const Params& p, const Stored& stored, const Matrix& h, const Context& context) const;
  Backward<Deferred> backward_input(const Params& p, Stored&& stored, Matrix&& h, Matrix&& du,
                                    const Context& context) const;
  void backward_weight(Deferred&& deferred, Params& grads, const Context& context) const;

  /// The parts that a decoder shares.
  /// @{
  Matrix rotary_key(const Params& p, const Matrix& h, const RopeTable& rope,
                    const Precision& precision) const;                                        ///< (3)
  Matrix compress_query(const Params& p, const Matrix& h, const Precision& precision) const;  ///< (6)
  Queries queries(const Params& p, const Matrix& c_Q, const Matrix& h, const RopeTable& rope,
                  const Precision& precision) const;              ///< (7), (8)
  Matrix normalise(const Matrix& latent, const Matrix& g) const;  ///< the RMSNorm on c_Q or c_KV
  /// Throws std::invalid_argument unless `p` has the shapes of the configuration and `h` its width.
  void require_fit(const Params& p, const Matrix& h) const;
  const MlaConfig& config() const { return config_; }
  real scale() const { return scale_; }
  /// @}

 private:
  /// Eqs. (4), (9), (10): o; writes stored.lse.
  Matrix attend_heads(const Recomputed& r, Stored& stored, const Sequences& sequences) const;
  HeadGradients attend_heads_backward(const Recomputed& r, const Stored& stored, const Matrix& o, const Matrix& d_o,
                                      const Sequences& sequences) const;

  MlaConfig config_;
  real scale_;
};

}  // namespace dsv3
