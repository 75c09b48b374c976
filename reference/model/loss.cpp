// SPDX-License-Identifier: MIT
#include "reference/model/loss.hpp"

#include <cmath>

#include "reference/core/require.hpp"
#include "reference/core/threads.hpp"
#include "reference/formats/bf16.hpp"
#include "reference/linear/gemm.hpp"
#include "reference/linear/linear.hpp"

namespace dsv3 {

double cross_entropy_row(Matrix& logits, Index i, Token target) {
  auto row = logits.row(i).array();
  if (target == no_target) {
    row.setZero();
    return 0;
  }
  const real maximum = row.maxCoeff(), target_logit = row(target);
  row = (row - maximum).exp();
  const double sum = static_cast<double>(row.sum());
  row *= static_cast<real>(1 / sum);
  row(target) -= 1;
  return std::log(sum) + static_cast<double>(maximum - target_logit);  // -log P[target] of Eq. (24)
}

namespace {

void require_targets(const Matrix& W, const Matrix& h, std::span<const Token> targets, Index chunk) {
  require(h.cols() == W.cols() && h.rows() == static_cast<Index>(targets.size()), "head_loss", "h is ", shape_text(h),
          "; it needs ", targets.size(), " rows (targets) of ", W.cols(), " (head ", shape_text(W), ")");
  require(chunk >= 1, "head_loss", "chunk is ", chunk, "; it must be at least 1");
  for (const Token t : targets)
    require(t == no_target || (t >= 0 && t < W.rows()), "head_loss", "target ", t, " is outside 0 to ", W.rows() - 1);
}

/// use(first row, h rows, logits rows after cross_entropy_row) for each chunk.
template <class Use>
HeadLoss for_each_chunk(const Matrix& W, const Matrix& h, std::span<const Token> targets, Index chunk, const Use& use) {
  require_targets(W, h, targets, chunk);
  HeadLoss loss;
  loss.temporary_bytes = 2 * sizeof(real) * static_cast<std::size_t>(std::min(chunk, h.rows()) * W.rows());
  std::vector<double> row_loss(targets.size());
  for (Index first = 0; first < h.rows(); first += chunk) {
    const Index rows = std::min(chunk, h.rows() - first);
    Matrix logits(rows, W.rows());
    multiply_nt(logits, h.middleRows(first, rows), W);
    parallel_rows(
        rows,
        [&](Index begin, Index count) {
          for (Index i = begin; i < begin + count; ++i)
            row_loss[first + i] = cross_entropy_row(logits, i, targets[first + i]);
        },
        8);
    use(first, logits);
  }
  for (std::size_t i = 0; i < targets.size(); ++i) {
    loss.sum += row_loss[i];
    loss.count += targets[i] != no_target;
  }
  return loss;
}

}  // namespace

HeadLoss head_loss(const Matrix& W, const Matrix& h, std::span<const Token> targets, const Precision& precision,
                   Index chunk) {
  return for_each_chunk(round_to(precision, W), round_to(precision, h), targets, chunk, [](Index, const Matrix&) {});
}

HeadLoss head_loss_and_gradients(const Matrix& W, Matrix& dW, const Matrix& h, Matrix& dh,
                                 std::span<const Token> targets, double weight, const Precision& precision,
                                 Index chunk) {
  const Matrix W_seen = round_to(precision, W), h_seen = round_to(precision, h);
  dh.resize(h.rows(), h.cols());
  const HeadLoss loss = for_each_chunk(W_seen, h_seen, targets, chunk, [&](Index first, Matrix& d_logits) {
    d_logits = round_to(precision, static_cast<real>(weight) * d_logits);
    multiply_nn(dh.middleRows(first, d_logits.rows()), d_logits, W_seen);  // logits = W h
    add_multiply_tn(dW, d_logits, h_seen.middleRows(first, d_logits.rows()));
  });
  dh = round_to(precision, std::move(dh));
  return loss;
}

}  // namespace dsv3
