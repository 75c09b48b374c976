// SPDX-License-Identifier: MIT
/// \file
/// The text of a run as tokens: packed for training, held out for evaluation.
#pragma once
#include "reference/checkpoint/hf_config.hpp"
#include "reference/data/corpus.hpp"
#include "reference/data/packing.hpp"
#include "reference/training/step.hpp"

namespace dsv3 {

/// The training documents and those held out (one of 20), under one tokenizer.
struct RunText {
  Tokenizer tokenizer;
  std::vector<std::vector<Token>> training, held_out;  ///< tokens of each document, without special tokens

  /// A number that differs, as good as surely, if any token or border between documents differs: a resumed run must see
  /// the same text.
  std::uint64_t fingerprint() const;
  /// The tokens that begin and end a text, for a checkpoint's config.json.
  TextEnds ends() const { return {tokenizer.find_added(begin_token), tokenizer.find_added(end_token)}; }
};

/// Trains a tokenizer of at most `vocab_size` tokens on the training part of `corpus` and encodes both parts.
RunText text_with_new_tokenizer(const Corpus& corpus, Token vocab_size);
RunText text_with_tokenizer(const Corpus& corpus, Tokenizer tokenizer);

/// Batches of the packed training text: sequence number i of the run is sequence number i of PackedText.
BatchSource batches_of(const RunText& text, Index sequence_length, std::uint64_t seed);

/// The held-out text packed in its order and cut into sequences of T+1 tokens; at most `limit` of them, evenly spread.
/// Throws std::runtime_error if it is shorter than one sequence.
Batch held_out_batch(const RunText& text, Index sequence_length, Index limit);

/// Mean -log P per token of the held-out batch, in pieces of `micro_batch` sequences.
double evaluate(const Model& model, const ModelWeights<Matrix>& weights, const Batch& held_out, Index micro_batch,
                const Precision& precision);

}  // namespace dsv3
