// SPDX-License-Identifier: MIT
#include "reference/serving/generate.hpp"

#include <cmath>

#include "reference/core/require.hpp"

namespace dsv3 {

Token sample(const ConstView& logits, double temperature, Random& random) {
  require(std::isfinite(temperature) && temperature >= 0, "sample", "temperature is ", temperature,
          "; it must be 0 (greedy) or positive");
  require(logits.rows() == 1 && logits.cols() >= 1, "sample", "logits are ", shape_text(logits), "; it needs one row");
  Index best = 0;
  const double maximum = static_cast<double>(logits.row(0).maxCoeff<Eigen::PropagateNaN>(&best));
  require(std::isfinite(maximum), "sample", "the largest logit is ", maximum, "; it must be finite");
  if (temperature == 0) {
    for (best = 0; static_cast<double>(logits(0, best)) < maximum;) ++best;
    return static_cast<Token>(best);
  }
  const Eigen::ArrayXd weights = ((logits.row(0).transpose().cast<double>().array() - maximum) / temperature).exp();
  double left = random.uniform() * weights.sum();
  for (Index token = 0; token < weights.size(); ++token)
    if ((left -= weights(token)) < 0) return static_cast<Token>(token);
  return static_cast<Token>(best);  // the sum was rounded up past the last token
}

std::vector<Token> generate(const Inference& model, std::span<const Token> prompt, Index max_new, Token end_token,
                            const Sampling& sampling, const std::function<void(Token)>& emit) {
  const auto length = static_cast<Index>(prompt.size());
  const Index longest = model.config().mla.rope.max_length;
  require(length >= 1, "generate", "the prompt is empty; it needs at least one token");
  require(max_new >= 0 && max_new <= longest - length, "generate", "a prompt of ", length, " tokens and ", max_new,
          " new ones; together they must fit the ", longest, " positions of the model");
  const Index V = model.config().V, drawn = sampling.num_tokens == 0 ? V : sampling.num_tokens;
  require(drawn >= 1 && drawn <= V, "generate", "num_tokens is ", drawn, "; it must be 0 (all) to ", V);
  Random random(sampling.seed);
  SequenceState state = model.start();
  std::vector<Token> written;
  Matrix h = max_new > 0 ? model.extend(state, prompt, AttentionForm::naive) : Matrix();
  while (static_cast<Index>(written.size()) < max_new) {
    const Token next = sample(model.logits(h.bottomRows(1)).leftCols(drawn), sampling.temperature, random);
    if (next == end_token) break;
    written.push_back(next);
    if (emit) emit(next);
    if (static_cast<Index>(written.size()) < max_new)
      h = model.extend(state, std::span(&written.back(), 1), AttentionForm::absorbed);
  }
  return written;
}

}  // namespace dsv3
