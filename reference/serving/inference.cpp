// SPDX-License-Identifier: MIT
#include "reference/serving/inference.hpp"

#include "reference/core/require.hpp"
#include "reference/linear/linear.hpp"

namespace dsv3 {

Inference::Inference(const ModelConfig& config, WeightSource source, Precision precision, Tap tap)
    : model_(config), source_(std::move(source)), precision_(precision), tap_(std::move(tap)) {}

SequenceState Inference::start() const {
  SequenceState state;
  state.caches.resize(model_.blocks.size());
  return state;
}

Context Inference::context(const std::string& prefix) const {  // positions come from the caches
  return {.precision = precision_, .sequences = {}, .balance = {}, .tap = tap_, .tap_prefix = prefix};
}

Matrix Inference::run_block(const Block& block, const BlockWeights<Matrix>& p, Index layer, const Matrix& x,
                            LatentCache& cache, AttentionForm form, const Context& context) const {
  const auto attend = form == AttentionForm::absorbed ? absorbed_attention : cached_attention;
  const Matrix h = block.norm.forward(p.norm_attention, x, context).y;
  const Matrix u = attend(block.mla, p.mla, h, cache, context);
  const Matrix x_prime = round_to(precision_, x + u);
  const Matrix h_prime = block.norm.forward(p.norm_ffn, x_prime, context).y;
  const auto expert = [&](Index i) -> const SwigluWeights<Matrix>& { return source_.expert(layer, i); };
  const Matrix f = block.ffn.infer(p.ffn, h_prime, expert, context);
  Matrix y = round_to(precision_, x_prime + f);
  context.show("norm_attention.out", h);
  context.show("x_prime", x_prime);
  context.show("norm_ffn.out", h_prime);
  context.show("ffn.out", f);
  context.show("out", y);
  return y;
}

Matrix Inference::extend(SequenceState& state, std::span<const Token> tokens, AttentionForm form) const {
  const auto rows = static_cast<Index>(tokens.size());
  const Index longest = model_.config.mla.rope.max_length;
  require(rows >= 1, "inference", "no tokens to feed; it needs at least one");
  require(state.length + rows <= longest, "inference", state.length + rows, " tokens do not fit; the model has ",
          longest, " positions");
  require(std::ssize(state.caches) == model_.config.L, "inference", "the state has caches of ", state.caches.size(),
          " layers; the model has ", model_.config.L, ": begin with start()");
  for (LatentCache& cache : state.caches) cache.length = state.length;  // forget what a failed call left behind
  Matrix x = round_to(precision_, source_.embed(tokens));
  for (Index layer = 0; layer < model_.config.L; ++layer) {
    const auto p = source_.block(layer);
    x = run_block(model_.blocks[layer], *p, layer, x, state.caches[layer], form,
                  context(concat("layers.", layer, ".")));
  }
  const Context last = context("");
  Matrix h = model_.norm.forward(source_.norm_final(), x, last).y;
  last.show("norm_final.out", h);
  state.length += rows;
  return h;
}

Matrix Inference::logits(const Matrix& h) const {
  const Index V = model_.config.V, piece = 8192;
  Matrix all(h.rows(), V);
  for (Index first = 0; first < V; first += piece) {
    const Index count = std::min(piece, V - first);
    all.middleCols(first, count) = fprop(source_.head_rows(first, count), h, precision_);
  }
  return all;
}

std::vector<Matrix> Inference::mtp_logits(const Matrix& h, std::span<const Token> tokens) const {
  require(model_.config.mtp_reads_normed, "mtp_logits",
          "this model's MTP modules read the representation before the final norm; only the normalised one is at hand");
  const Index d = model_.config.d();
  require(h.rows() == std::ssize(tokens) && h.cols() == d, "mtp_logits", "representations are ", shape_text(h), " for ",
          tokens.size(), " tokens; they need a row of ", d, " for each");
  std::vector<Matrix> all;
  Matrix below = h;
  for (Index k = 1; k <= model_.config.D; ++k) {
    const Index rows = h.rows() - k;
    require(rows >= 1, "mtp_logits", "a sequence of ", h.rows(), " tokens; module ", k, " needs more than ", k);
    const auto p = source_.mtp(k);
    const Mtp& module = model_.mtp[k - 1];
    const Context here = context(concat("layers.", model_.config.L + k - 1, "."));
    Matrix x(rows, 2 * d);
    x << below.topRows(rows), round_to(precision_, source_.embed(tokens.subspan(k)));
    const Matrix h_prime = fprop(p->M, module.recompute(*p, {}, x, here).normed, precision_);  // Eq. (21)
    LatentCache cache;
    below = run_block(module.block, p->block, model_.config.L + k - 1, h_prime, cache, AttentionForm::naive, here);
    all.push_back(logits(model_.norm.forward(p->norm_out, below, here).y));  // Eq. (23)
  }
  return all;
}

}  // namespace dsv3
