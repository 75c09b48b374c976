// SPDX-License-Identifier: MIT
/// \file
/// DeepSeekMoE, section 2.1.2: shared experts for every token, routed experts for the tokens the gate sends them.
#pragma once
#include <functional>
#include <tuple>

#include "reference/core/require.hpp"
#include "reference/moe/balance.hpp"
#include "reference/moe/dispatch.hpp"
#include "reference/moe/swiglu.hpp"

namespace dsv3 {

template <class Tensor>
struct MoeWeights {
  Tensor e;                                    ///< [N_r, d] centroids e_i, Eq. (15)
  Tensor b;                                    ///< [1, N_r] bias of Eq. (16), not trained by gradients; [0, 0] without
  SwigluWeights<Tensor> shared;                ///< the N_s shared experts side by side, width d_shared
  std::vector<SwigluWeights<Tensor>> experts;  ///< N_r of width d_expert

  template <class F, class... W>
  static void visit(const std::string& prefix, F&& f, W&... w) {
    f(Role::weight, prefix + "e", w.e...);
    f(Role::bias, prefix + "b", w.b...);
    SwigluWeights<Tensor>::visit(prefix + "shared.", f, w.shared...);
    const std::size_t N_r = std::get<0>(std::tie(w...)).experts.size();
    require(((w.experts.size() == N_r) && ...), "MoeWeights", "the weights have different numbers of experts");
    for (std::size_t i = 0; i < N_r; ++i)
      SwigluWeights<Tensor>::visit(prefix + "experts." + std::to_string(i) + ".", f, w.experts[i]...);
  }
  template <class Other>
  void match(const Other& other) {
    experts.resize(other.experts.size());
  }
};

/// Throws std::invalid_argument naming the first field that cannot be right and what it needs.
void validate(const MoeConfig& config);

/// N_r = 0 is a dense FFN: `shared` alone, e and b are [0, 0].
MoeWeights<Shape> moe_shapes(const MoeConfig& config);

/// h'_t = sum_{i <= N_s} FFN_i^(s)(u_t) + sum_{i <= N_r} g_{i,t} FFN_i^(r)(u_t), Eq. (12) without the residual u_t,
/// which the caller adds. With N_r = 0 the FFN of a dense layer.
///
/// No token is dropped, whatever the load. Shown to context.tap: router_logits, topk_experts, topk_weights,
/// selection_margin.
///
/// Numerics contract: the N_s shared experts are one FFN of their joint width. The experts' GEMMs as in linear.hpp at
/// the context's precision, the gate in `real` at any precision (gate.hpp). h' sums in `real` in the order of Eq. (12):
/// shared, then experts in ascending order (dispatch.hpp); the sum itself is not rounded to BF16, the caller's residual
/// stream is. du sums shared, experts in ascending order, gate. dg = <z, W_down^T dh'>, which is <FFN(u), dh'> without
/// computing the expert's output again. Same bits for any number of threads.
///
/// Throws std::invalid_argument where weights, u or dh do not fit the configuration, or as gate.hpp and balance.hpp
/// say.
///
/// Differs from the report: nothing but what gate.hpp, balance.hpp and swiglu.hpp say.
struct Moe {
  using Params = MoeWeights<Matrix>;
  struct Stored {
    SwigluFfn::Stored shared;
    Routing routing;
    Dispatch dispatch;
    std::vector<SwigluFfn::Stored> experts;  ///< a, b of the rows of each expert; empty for experts without tokens
    double balance_loss = 0;                 ///< Eq. (17), already multiplied by alpha and weight of context.balance
    Matrix balance_f;                        ///< f of Eq. (18); [0, 0] while alpha is 0
  };
  struct Recomputed {
    std::vector<SwigluFfn::Recomputed> experts;
  };
  struct Expert {
    Kept z, da, db;  ///< the operands that are not a gather of u and dh
  };
  struct Deferred {
    SwigluFfn::Deferred shared;
    Matrix u, dh;  ///< what the gate and the routed experts read, where shared has codes of it; [0, 0] otherwise
    Matrix g, dlogits;
    Dispatch dispatch;
    std::vector<Expert> experts;
  };
  /// The weights of one routed expert; the reference must stay valid until the next call.
  using ExpertSource = std::function<const SwigluWeights<Matrix>&(Index expert)>;

  explicit Moe(const MoeConfig& moe_config);

  Forward<Stored> forward(const Params& p, const Matrix& u, const Context& context) const;
  Recomputed recompute(const Params& p, const Stored& stored, const Matrix& u, const Context& context) const;
  Backward<Deferred> backward_input(const Params& p, Stored&& stored, Matrix&& u, Matrix&& dh,
                                    const Context& context) const;
  void backward_weight(Deferred&& deferred, Params& grads, const Context& context) const;

  /// The same h', bit for bit, with experts fetched one at a time, in ascending order, each at most once and only if a
  /// token needs it: for weights that do not fit into memory together. p.experts is not read.
  Matrix infer(const Params& p, const Matrix& u, const ExpertSource& expert, const Context& context) const;

  MoeConfig config;

 private:
  struct RoutedGradient {
    Matrix du_rows, dg;
    std::vector<Expert> experts;
  };
  /// B of the routed sum of Eq. (12): du of every row, dg, and what W needs; consumes the stored a and b.
  RoutedGradient backward_experts(const Params& p, Stored& stored, const Matrix& u, const Matrix& dh,
                                  const Context& context) const;
};
static_assert(Component<Moe>);

}  // namespace dsv3
