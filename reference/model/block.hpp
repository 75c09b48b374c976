// SPDX-License-Identifier: MIT
/// \file
/// One transformer block, TRM of section 2.1: two pre-norm residual branches.
#pragma once
#include "reference/core/component.hpp"
#include "reference/mla/mla.hpp"
#include "reference/model/weights.hpp"

namespace dsv3 {

/// x' = x + MLA(RMSNorm(x));  y = x' + FFN(RMSNorm(x')).
///
/// Both RMSNorm outputs are recomputed in B (section 3.2.3), so F keeps x' and what MLA and FFN keep; x itself is
/// handed back by the caller. The residual stream is rounded by `context.precision` after each addition.
struct Block {
  Mla mla;
  Moe ffn;
  RmsNorm norm;

  using Params = BlockWeights<Matrix>;
  struct Stored {
    Mla::Stored mla;
    Matrix x_prime;
    Moe::Stored ffn;
  };
  struct Recomputed {};  ///< the branches recompute for themselves
  struct Deferred {
    RmsNorm::Deferred norm_attention;
    Mla::Deferred mla;
    RmsNorm::Deferred norm_ffn;
    Moe::Deferred ffn;
  };

  /// The block of layer `layer` of `config`; layer L and above are MTP blocks.
  Block(const ModelConfig& config, Index layer);

  Forward<Stored> forward(const Params& p, const Matrix& x, const Context& context) const;
  Recomputed recompute(const Params&, const Stored&, const Matrix&, const Context&) const { return {}; }
  Backward<Deferred> backward_input(const Params& p, Stored&& s, Matrix&& x, Matrix&& dy, const Context& context) const;
  void backward_weight(Deferred&& w, Params& grads, const Context& context) const;
};
static_assert(Component<Block>);

}  // namespace dsv3
