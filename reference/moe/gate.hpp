// SPDX-License-Identifier: MIT
/// \file
/// The gate of DeepSeekMoE: which experts a token reaches and with what weight, section 2.1.2.
#pragma once
#include "reference/core/matrix.hpp"
#include "reference/moe/config.hpp"

namespace dsv3 {

using IndexMatrix = Eigen::Matrix<Index, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// What the gate decided for T tokens.
struct Routing {
  IndexMatrix experts;  ///< [T, K_r] chosen experts, by descending biased score, equal scores by ascending expert
  Matrix g;             ///< [T, K_r] their weights g_{i,t}
  Matrix s;             ///< [T, N_r] scores s_{i,t}, without bias
  IndexMatrix groups;   ///< [T, kept_groups] the groups kept, ascending
  /// [T, 1] How close the decision was: the smaller of (last kept group score - best dropped one) and (last chosen
  /// biased score - best other one in the kept groups); infinity where there was nothing to drop. 0 is a tie. Biased
  /// scores that are each off by less than a quarter of it lead to the same set of experts.
  Matrix margin;
};

/// Throws std::invalid_argument naming the first field that cannot be right and what it needs.
void validate(const GateConfig& config);

/// Eqs. (13)-(16) with node-limited routing, from the logits u_t . e_i.
///
///     s_{i,t}  = Sigmoid(u_t . e_i)                                              (15); V2: Softmax_i
///     kept     = the kept_groups groups with the largest sum of their two largest s_{i,t} + b_i; V2: largest maximum
///     g'_{i,t} = s_{i,t} if s_{i,t} + b_i is among the K_r largest of the kept groups, else 0                (16)
///     g_{i,t}  = g'_{i,t} / (sum_j g'_{j,t} + 1e-20) * routed_scaling_factor     (13); V2: without the division
///
/// Groups are contiguous: group k holds experts k N_r/num_groups and on. Experts of other groups count as -infinity,
/// not as 0, which would beat negative biased scores.
///
/// \param logits [T, N_r], finite
///
/// \param b [1, N_r], at most 1e30 in size; [0, 0] if the configuration has no bias
///
/// \throws std::invalid_argument for other shapes and biases that are not finite; NotFinite for such logits, naming the
/// first one
///
/// Numerics contract: everything in `real`, whatever the precision of the Linear operators: a gate in BF16 ties often
/// and routes near-ties otherwise. Sigmoid and exp as in sigmoid.hpp; softmax subtracts the largest logit and sums in
/// ascending order. s + b is rounded once, a group score once more. Ties, of groups too: the lowest index wins. The sum
/// over the selected runs in slot order, from 0; 1e-20 is added at the end; then one division and one product.
///
/// Differs from the report: routed_scaling_factor and 1e-20 come from the released code; K_r/M of the group score is
/// always 2 (as it is in V3).
Routing route_logits(const GateConfig& config, const Matrix& logits, const Matrix& b);

/// The same from the inputs u [T, d] and the centroids e [N_r, d]: logits = u e^T, fprop in `real`.
Routing route(const GateConfig& config, const Matrix& e, const Matrix& b, const Matrix& u);

/// The weights of a choice that was made before, in this or another program: s and g of route_logits for `experts`
/// [T, K_r], in their order; groups and margin are [0, 0]. Groups and biases have no say.
/// Throws as route_logits does, and std::invalid_argument for experts that repeat or that there are not.
Routing replay(const GateConfig& config, const Matrix& logits, const IndexMatrix& experts);

/// Gradient of the logits [T, N_r] from the gradient dg [T, K_r] of the weights and, where s was used elsewhere too
/// (the balance loss), its gradient ds [T, N_r] from there; [0, 0] for none. The choice is not differentiable: experts
/// not chosen get a gradient through softmax and ds only, and b none at all.
Matrix gate_backward(const GateConfig& config, const Routing& routing, const Matrix& dg, Matrix ds = {});

}  // namespace dsv3
