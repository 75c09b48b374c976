// SPDX-License-Identifier: MIT
#include "reference/model/model.hpp"

#include "reference/core/bytes.hpp"
#include "reference/core/require.hpp"
#include "reference/linear/linear.hpp"
#include "reference/model/loss.hpp"
#include "reference/moe/balance.hpp"

namespace dsv3 {

std::vector<Token> Batch::slice(Index first, Index n) const {
  std::vector<Token> all;
  all.reserve(count * n);
  for (Index s = 0; s < count; ++s) {
    const auto from = tokens.begin() + s * (length + 1) + first;
    all.insert(all.end(), from, from + n);
  }
  return all;
}

void BatchLoss::add(const BatchLoss& other) {
  main_sum += other.main_sum;
  tokens += other.tokens;
  balance += other.balance;
  activation_bytes = std::max(activation_bytes, other.activation_bytes);
  temporary_bytes = std::max(temporary_bytes, other.temporary_bytes);
  mtp_sum.resize(other.mtp_sum.size());
  for (std::size_t k = 0; k < mtp_sum.size(); ++k) mtp_sum[k] += other.mtp_sum[k];
  load.resize(other.load.size());
  for (std::size_t layer = 0; layer < load.size(); ++layer) {
    load[layer].resize(other.load[layer].size());
    for (std::size_t i = 0; i < load[layer].size(); ++i) load[layer][i] += other.load[layer][i];
  }
}

Model::Model(const ModelConfig& c) : config(c), norm{c.eps} {
  validate(c);
  for (Index layer = 0; layer < c.L; ++layer) blocks.emplace_back(c, layer);
  for (Index k = 0; k < c.D; ++k) mtp.emplace_back(c);
}

namespace {

/// The first `to` of every `from` rows.
Matrix leading_rows(const Matrix& h, Index count, Index from, Index to) {
  Matrix rows(count * to, h.cols());
  for (Index s = 0; s < count; ++s) rows.middleRows(s * to, to) = h.middleRows(s * from, to);
  return rows;
}

void add_to_leading_rows(Matrix& h, const ConstView& rows, Index count, Index from, Index to) {
  for (Index s = 0; s < count; ++s) h.middleRows(s * from, to) += rows.middleRows(s * to, to);
}

Matrix beside(const Matrix& left, const Matrix& right) {
  Matrix both(left.rows(), left.cols() + right.cols());
  both << left, right;
  return both;
}

/// One batch on its way through the model. Forward fills what backward empties.
class Pass {
 public:
  Pass(const Model& model, const ModelWeights<Matrix>& p, const Batch& batch, const BalanceLoss& balance,
       const Precision& precision)
      : model_(model), p_(p), batch_(batch) {
    const Index T = batch.length;
    require(batch.count >= 1 && T > model.config.D, "batch", batch.count, " sequences of ", T,
            " positions; it needs at least one sequence of more than D = ", model.config.D);
    require(static_cast<Index>(batch.tokens.size()) == batch.count * (T + 1), "batch", batch.tokens.size(), " tokens; ",
            batch.count, " sequences of ", T, " positions need ", batch.count * (T + 1));
    for (Index k = 0; k <= model.config.D; ++k) {
      contexts_.push_back({.precision = precision,
                           .sequences = Sequences::uniform(batch.count, T - k),
                           .balance = balance,
                           .tap = {},
                           .tap_prefix = {}});
    }
  }

  /// Keeps what B needs if `keep`.
  void forward(bool keep) {
    Matrix x = round_to(precision(), embed(p_.embedding, batch_.slice(0, batch_.length)));
    for (std::size_t i = 0; i < model_.blocks.size(); ++i) {
      auto [y, stored] = model_.blocks[i].forward(p_.blocks[i], x, contexts_[0]);
      note(stored.ffn);
      if (keep) block_inputs_.push_back(std::move(x)), stored_blocks_.push_back(std::move(stored));
      x = std::move(y);
    }
    h_.push_back(std::move(x));
    h_final_ = model_.norm.forward(p_.norm_final, h_[0], contexts_[0]).y;
    for (Index k = 1; k <= model_.config.D; ++k) forward_mtp(k, keep);
  }

  /// What forward(true) has kept.
  void measure() {
    loss_.activation_bytes = bytes_of_all(block_inputs_, mtp_inputs_, stored_blocks_, stored_mtp_, h_, h_final_);
  }

  /// Heads without gradients.
  BatchLoss losses() {
    add_main(head_loss(p_.head, h_final_, targets(0), precision()));
    for (Index k = 1; k <= model_.config.D; ++k)
      add_mtp(head_loss(p_.head, mtp_out(k), targets(k), precision()));  // Eqs. (23), (24)
    return std::move(loss_);
  }

  /// Heads and everything below them, in the reverse order of the forward pass.
  BatchLoss backward(ModelWeights<Matrix>& grads, const Objective& objective) {
    Matrix d_h_final;
    add_main(
        head_loss_and_gradients(p_.head, grads.head, h_final_, d_h_final, targets(0), objective.weight, precision()));
    Matrix dx = Matrix::Zero(h_[0].rows(), h_[0].cols());
    backward_mtp(grads, objective, model_.config.mtp_reads_normed ? d_h_final : dx);

    auto [d_h0, norm_w] =
        model_.norm.backward_input(p_.norm_final, {}, std::move(h_[0]), std::move(d_h_final), contexts_[0]);
    model_.norm.backward_weight(std::move(norm_w), grads.norm_final, contexts_[0]);
    dx = round_to(precision(), dx + d_h0);
    for (std::size_t i = model_.blocks.size(); i-- > 0;) {
      auto [d_in, w] = model_.blocks[i].backward_input(p_.blocks[i], std::move(stored_blocks_[i]),
                                                       std::move(block_inputs_[i]), std::move(dx), contexts_[0]);
      note_temporary(bytes_of_all(d_in, w) + bytes_before_codes(0));
      model_.blocks[i].backward_weight(std::move(w), grads.blocks[i], contexts_[0]);
      dx = std::move(d_in);
    }
    embed_backward(grads.embedding, batch_.slice(0, batch_.length), dx);
    return std::move(loss_);
  }

 private:
  const Precision& precision() const { return contexts_[0].precision; }

  /// t_{i+k+1} for the positions i = 1 .. T-k of module k (0: the main model).
  std::vector<Token> targets(Index k) const { return batch_.slice(k + 1, batch_.length - k); }

  /// What Eq. (23) hands to the shared head.
  Matrix mtp_out(Index k) const { return model_.norm.forward(p_.mtp[k - 1].norm_out, h_[k], contexts_[k]).y; }

  void note(const Moe::Stored& ffn) {
    if (ffn.routing.experts.rows() == 0) return;  // a dense layer
    loss_.load.push_back(expert_load(ffn.routing.experts, ffn.routing.s.cols()));
    loss_.balance += ffn.balance_loss;
  }

  void note_temporary(std::size_t bytes) { loss_.temporary_bytes = std::max(loss_.temporary_bytes, bytes); }

  /// In fp8, B's matrices of attention, which are there until all of W's codes are made.
  std::size_t bytes_before_codes(Index k) const {
    if (precision() != Precision::fp8) return 0;
    return static_cast<std::size_t>(contexts_[k].sequences.rows() * Mla::backward_width(model_.config.mla)) *
           sizeof(real);
  }

  void add_main(const HeadLoss& head) {
    note_temporary(head.temporary_bytes);
    loss_.main_sum = head.sum;
    loss_.tokens = head.count;
  }
  void add_mtp(const HeadLoss& head) { loss_.mtp_sum.push_back(head.sum); }

  void forward_mtp(Index k, bool keep) {
    const Index T = batch_.length;
    const Matrix& below = k == 1 && model_.config.mtp_reads_normed ? h_final_ : h_[k - 1];
    const Matrix e = round_to(precision(), embed(p_.embedding, batch_.slice(k, T - k)));  // Emb(t_{i+k}), Eq. (21)
    Matrix x = beside(leading_rows(below, batch_.count, T - k + 1, T - k), e);
    auto [h, stored] = model_.mtp[k - 1].forward(p_.mtp[k - 1], x, contexts_[k]);
    note(stored.block.ffn);
    if (keep) mtp_inputs_.push_back(std::move(x)), stored_mtp_.push_back(std::move(stored));
    h_.push_back(std::move(h));
  }

  /// From module D down to 1; the gradient of what module 1 read is added to `d_below_1`.
  void backward_mtp(ModelWeights<Matrix>& grads, const Objective& objective, Matrix& d_below_1) {
    const Index T = batch_.length, D = model_.config.D, d = model_.config.d();
    loss_.mtp_sum.resize(D);
    Matrix from_above;  // the gradient module k+1 sends to h^k, at its leading T-k-1 positions
    for (Index k = D; k >= 1; --k) {
      Matrix dh_out;
      loss_.mtp_sum[k - 1] = head_loss_and_gradients(p_.head, grads.head, mtp_out(k), dh_out, targets(k),
                                                     objective.weight * objective.lambda / static_cast<double>(D),
                                                     precision())  // Eqs. (24), (25)
                                 .sum;
      auto& g = grads.mtp[k - 1];
      auto [dh, norm_w] =
          model_.norm.backward_input(p_.mtp[k - 1].norm_out, {}, std::move(h_[k]), std::move(dh_out), contexts_[k]);
      model_.norm.backward_weight(std::move(norm_w), g.norm_out, contexts_[k]);
      if (k < D) add_to_leading_rows(dh, from_above, batch_.count, T - k, T - k - 1);
      auto [dx, w] = model_.mtp[k - 1].backward_input(p_.mtp[k - 1], std::move(stored_mtp_[k - 1]),
                                                      std::move(mtp_inputs_[k - 1]), std::move(dh), contexts_[k]);
      note_temporary(bytes_of_all(dx, w) + bytes_before_codes(k));
      model_.mtp[k - 1].backward_weight(std::move(w), g, contexts_[k]);
      embed_backward(grads.embedding, batch_.slice(k, T - k), dx.rightCols(d));
      from_above = dx.leftCols(d);
    }
    if (D > 0) add_to_leading_rows(d_below_1, from_above, batch_.count, T, T - 1);
  }

  const Model& model_;
  const ModelWeights<Matrix>& p_;
  const Batch& batch_;
  std::vector<Context> contexts_;  // [k]: sequences of T-k positions
  std::vector<Matrix> block_inputs_, mtp_inputs_;
  std::vector<Block::Stored> stored_blocks_;
  std::vector<Mtp::Stored> stored_mtp_;
  std::vector<Matrix> h_;  // [k]: h^k before its norm
  Matrix h_final_;         // RMSNorm(h^0)
  BatchLoss loss_;
};

}  // namespace

BatchLoss Model::loss(const ModelWeights<Matrix>& p, const Batch& batch, const Precision& precision) const {
  Pass pass(*this, p, batch, {}, precision);
  pass.forward(false);
  return pass.losses();
}

BatchLoss Model::loss_and_gradients(const ModelWeights<Matrix>& p, ModelWeights<Matrix>& grads, const Batch& batch,
                                    const Objective& objective, const Precision& precision) const {
  Pass pass(*this, p, batch, objective.balance, precision);
  pass.forward(true);
  pass.measure();
  return pass.backward(grads, objective);
}

void update_biases(ModelWeights<Matrix>& p, const std::vector<std::vector<Index>>& load, double gamma) {
  auto next = load.begin();
  const auto update = [&](MoeWeights<Matrix>& ffn) {
    if (ffn.experts.empty()) return;
    require(next != load.end(), "update_biases", "loads of ", load.size(), " layers; the model has more MoE layers");
    if (ffn.b.size() > 0) update_bias(ffn.b, *next, gamma);
    ++next;
  };
  for (auto& block : p.blocks) update(block.ffn);
  for (auto& module : p.mtp) update(module.block.ffn);
}

}  // namespace dsv3
