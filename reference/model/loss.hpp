// SPDX-License-Identifier: MIT
/// \file
/// The output head and the cross-entropy, in chunks of rows: [T, V] logits never stand in memory at once.
#pragma once
#include <span>

#include "reference/core/context.hpp"
#include "reference/model/embedding.hpp"

namespace dsv3 {

/// Targets with this value do not count.
inline constexpr Token no_target = -1;

struct HeadLoss {
  double sum = 0;                   ///< sum over the targets of -log P[target], natural logarithm, in double
  Index count = 0;                  ///< targets that count
  std::size_t temporary_bytes = 0;  ///< of the logits held at a time, with their gradient
};

/// -log softmax(l)[target] of l = row i of `logits`, which becomes its gradient, softmax(l) minus one-hot; 0 and zeros
/// for no_target. Numerics contract: see head_loss. The target is no_target or a column.
double cross_entropy_row(Matrix& logits, Index i, Token target);

/// -sum_i log softmax(W h_i)[t_i], the cross-entropy of Eq. (24) before its division by T.
/// W: [V, d]; h: [T, d], already normalised; T targets. `chunk` rows of logits are held at a time.
/// Numerics contract: operands rounded as by fprop, logits and softmax in `real`, maximum subtracted first.
/// Throws std::invalid_argument for shapes that do not fit and targets outside 0 .. V-1.
HeadLoss head_loss(const Matrix& W, const Matrix& h, std::span<const Token> targets,
                   const Precision& precision = Precision::fp32, Index chunk = 512);

/// The same, and its gradients times `weight`: dW += weight dL/dW, dh = weight dL/dh. The loss ends the graph, so its
/// gradient is known in the forward pass and no logits are computed twice (there is no separate B and W here).
HeadLoss head_loss_and_gradients(const Matrix& W, Matrix& dW, const Matrix& h, Matrix& dh,
                                 std::span<const Token> targets, double weight,
                                 const Precision& precision = Precision::fp32, Index chunk = 512);

}  // namespace dsv3
