// SPDX-License-Identifier: MIT
/// \file
/// Multi-token prediction: one sequential module per further token, section 2.2.
#pragma once
#include "reference/model/block.hpp"

namespace dsv3 {

/// What M_k of Eq. (21) reads: [RMSNorm(h); RMSNorm(e)], or the halves the other way round.
///
/// Its input x is [T-k, 2d]: the hidden state h^{k-1}_i on the left, the embedding Emb(t_{i+k}) on the right, whatever
/// the order in which M_k reads them. Of the weights of the module it reads the two gains, and d from M.
struct MtpInput {
  MtpOrder order = MtpOrder::hidden_embedding;
  RmsNorm norm;

  struct Gradient {
    Matrix dx;
    RmsNorm::Deferred norm_hidden, norm_embedding;
  };

  Matrix forward(const MtpWeights<Matrix>& p, const Matrix& x, const Context& context) const;
  Gradient backward(const MtpWeights<Matrix>& p, const Matrix& x, const Matrix& d_normed, const Context& context) const;

 private:
  Index hidden_column(Index d) const { return order == MtpOrder::hidden_embedding ? 0 : d; }
};

/// MTP module k, Eqs. (21) and (22):
///   h'^k_i = M_k [RMSNorm(h^{k-1}_i); RMSNorm(Emb(t_{i+k}))],   h^k = TRM_k(h'^k).
///
/// Its input x is that of MtpInput. It returns h^k before the module's own output norm, which stands in front of the
/// shared head (OutHead(RMSNorm(h^k)), Eq. (23)); module k+1 reads h^k as it is.
///
/// Differs from the report: the released weights read [embedding; hidden] (MtpOrder::embedding_hidden), and they have
/// an output norm of their own, which the equations do not mention. Both orders are here by name.
struct Mtp {
  MtpInput input;
  Block block;

  using Params = MtpWeights<Matrix>;
  struct Stored {
    Matrix h_prime;
    Block::Stored block;
  };
  struct Recomputed {
    Matrix normed;  ///< [T-k, 2d], both halves normalised, in the order M_k reads them
  };
  struct Deferred {
    RmsNorm::Deferred norm_hidden, norm_embedding;
    Kept normed, d_h_prime;
    Block::Deferred block;
  };

  explicit Mtp(const ModelConfig& config);

  Forward<Stored> forward(const Params& p, const Matrix& x, const Context& context) const;
  Recomputed recompute(const Params& p, const Stored& s, const Matrix& x, const Context& context) const;
  Backward<Deferred> backward_input(const Params& p, Stored&& s, Matrix&& x, Matrix&& dy, const Context& context) const;
  void backward_weight(Deferred&& w, Params& grads, const Context& context) const;
};
static_assert(Component<Mtp>);

}  // namespace dsv3
