// SPDX-License-Identifier: MIT
#include "reference/training/text.hpp"

#include "reference/core/require.hpp"

namespace dsv3 {

std::uint64_t RunText::fingerprint() const {
  std::uint64_t hash = 0;
  const auto mix = [&](auto number) { hash = Random(hash ^ static_cast<std::uint64_t>(number)).bits(); };
  for (const auto* part : {&training, &held_out}) {
    mix(part->size());
    for (const auto& document : *part) {
      mix(document.size());
      for (const Token t : document) mix(t);
    }
  }
  return hash;
}

RunText text_with_tokenizer(const Corpus& corpus, Tokenizer tokenizer) {
  RunText text{.tokenizer = std::move(tokenizer), .training = {}, .held_out = {}};
  text.training = encode_documents(text.tokenizer, corpus.training);
  text.held_out = encode_documents(text.tokenizer, corpus.held_out);
  return text;
}

RunText text_with_new_tokenizer(const Corpus& corpus, Token vocab_size) {
  std::vector<std::string_view> texts;
  for (const Document& document : corpus.training) texts.push_back(document.text);
  return text_with_tokenizer(corpus, train_tokenizer(texts, {.vocab_size = vocab_size}));
}

BatchSource batches_of(const RunText& text, Index sequence_length, std::uint64_t seed) {
  const PackingOptions options{.sequence_length = sequence_length,
                               .seed = seed,
                               .fim = {},
                               .begin_token = {},
                               .end_token = text.tokenizer.added(end_token)};
  const auto packed = std::make_shared<const PackedText>(text.training, options);
  return [packed, sequence_length](Index first, Index count) {
    return Batch{.count = count, .length = sequence_length, .tokens = packed->sequences(first, count)};
  };
}

Batch held_out_batch(const RunText& text, Index sequence_length, Index limit) {
  std::vector<Token> stream;
  for (const auto& document : text.held_out) {
    stream.insert(stream.end(), document.begin(), document.end());
    stream.push_back(text.tokenizer.added(end_token));
  }
  const Index all = (std::ssize(stream) - 1) / sequence_length, count = std::min(limit, all);
  require_world(count >= 1, "train", "the held-out text has ", stream.size(), " tokens; a sequence of ",
                sequence_length, " needs ", sequence_length + 1, ": more text or a --length of at most ",
                std::ssize(stream) - 1, " is needed");
  Batch batch{.count = count, .length = sequence_length, .tokens = {}};
  for (Index s = 0; s < count; ++s) {
    const auto from = stream.begin() + s * all / count * sequence_length;
    batch.tokens.insert(batch.tokens.end(), from, from + sequence_length + 1);
  }
  return batch;
}

double evaluate(const Model& model, const ModelWeights<Matrix>& weights, const Batch& held_out, Index micro_batch,
                const Precision& precision) {
  double sum = 0;
  Index tokens = 0;
  const Index width = held_out.length + 1;
  for (Index first = 0; first < held_out.count; first += micro_batch) {
    Batch part{.count = std::min(micro_batch, held_out.count - first), .length = held_out.length, .tokens = {}};
    const auto from = held_out.tokens.begin() + first * width;
    part.tokens.assign(from, from + part.count * width);
    const BatchLoss loss = model.loss(weights, part, precision);
    sum += loss.main_sum;
    tokens += loss.tokens;
  }
  return sum / static_cast<double>(tokens);
}

}  // namespace dsv3
