// SPDX-License-Identifier: MIT
/// \file
/// Keeping the experts equally busy: the bias update without a loss, Eq. (16), and the balance loss, Eqs. (17)-(20).
#pragma once
#include <vector>

#include "reference/core/context.hpp"
#include "reference/moe/gate.hpp"

namespace dsv3 {

/// How many (token, slot) pairs each of the N_r experts got. The load of a training step is the sum over its
/// micro-batches and data-parallel ranks, each counted once: a forward pass that is repeated to recompute activations
/// counts no second time.
std::vector<Index> expert_load(const IndexMatrix& experts, Index N_r);

/// MaxVio = max_i load_i / mean load - 1; 0 is perfect balance, and the answer where nothing was routed.
double max_violation(const std::vector<Index>& load);

/// After a step: b_i -= gamma where expert i is overloaded, b_i += gamma where underloaded (load compared with the mean
/// exactly, in integers), unchanged where equal. b [1, N_r]; gamma is the "bias update speed", 0.001 and finally 0.
///
/// Throws std::invalid_argument where b and load differ in length.
///
/// Differs from the report: it does not say what equality does. Nothing else of the bias is moved: its mean may drift.
void update_bias(Matrix& b, const std::vector<Index>& load, double gamma);

/// What f_i of Eq. (18) counts.
enum class BalanceCount {
  report,  ///< the K_r largest scores s_{i,t} without bias and groups, as printed
  routed   ///< the experts the token goes to, as released training codes do
};

/// The balance loss of one call.
struct Balance {
  double loss = 0;  ///< already multiplied by alpha and weight
  Matrix f;         ///< [sequences, N_r], or [1, N_r] for the whole batch
};

/// Eqs. (17)-(20), T being the tokens of one sequence (or of the batch):
///
///     L_Bal = alpha sum_i f_i P_i                                                    (17)
///     f_i   = N_r / (K_r T) sum_t 1(s_{i,t} is among the K_r largest of {s_{j,t}})   (18)
///     s'_{i,t} = s_{i,t} / (sum_j s_{j,t} + 1e-20)                                   (19)
///     P_i   = 1/T sum_t s'_{i,t}                                                     (20)
///
/// The loss is terms.weight times the sum of L_Bal over the sequences. Sequences without tokens add nothing.
///
/// Numerics contract: sums over experts, then over tokens, in ascending order in double; ties: lowest index.
///
/// Differs from the report: 1e-20 keeps a token whose scores are all 0 from giving NaN.
///
/// \throws std::invalid_argument where `sequences` does not cover the tokens of `routing` (scope sequence only).
Balance balance_loss(const GateConfig& config, const Routing& routing, const Sequences& sequences,
                     const BalanceLoss& terms, BalanceCount counted = BalanceCount::report);

/// The gradient ds [T, N_r] of that loss, through P alone since f is a count:
/// ds_{i,t} = weight alpha / T (f_i - sum_j f_j s'_{j,t}) / (sum_j s_{j,t} + 1e-20).
Matrix balance_backward(const Routing& routing, const Sequences& sequences, const BalanceLoss& terms, const Matrix& f);

}  // namespace dsv3
