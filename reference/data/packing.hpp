// SPDX-License-Identifier: MIT
/// \file
/// Documents packed end to end into training sequences of equal length, section 4.1.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "reference/core/real.hpp"
#include "reference/data/fim.hpp"
#include "reference/data/token.hpp"

namespace dsv3 {

struct PackingOptions {
  Index sequence_length = 128;            ///< T
  std::uint64_t seed = 1;                 ///< of the orders and of fill-in-the-middle
  double fim_rate = 0;                    ///< share of the documents that are rearranged; the report: 0.1
  std::optional<FimTokens> fim = {};      ///< needed if fim_rate > 0
  std::optional<Token> begin_token = {};  ///< put before each document if there is one
  Token end_token = 1;                    ///< put after each document
};

/// The training text as an endless list of sequences; sequence number i is a pure function of the documents, the
/// options and i, so a run goes on from any step without having read what comes before.
///
/// In each epoch all documents, in an order of its own and some rearranged by fill_in_the_middle(), each with its end
/// token, stand end to end. That stream is cut every T tokens into sequences of T+1: the last token of one is the first
/// of the next, so each token is a target once. The sequences of an epoch come in a shuffled order; the tokens after
/// the last whole one (fewer than T) are left out, other ones in each epoch. A document may go over several sequences
/// and a sequence may hold several documents; positions and attention run on across them (no mask between documents in
/// pre-training). MTP module k has its T-k targets within the same T+1 tokens, Eq. (24).
class PackedText {
 public:
  /// `documents`: without special tokens. Throws std::invalid_argument for options that cannot be right, and
  /// std::runtime_error if the text is shorter than one sequence.
  PackedText(std::vector<std::vector<Token>> documents, const PackingOptions& options);

  /// Sequences first .. first+count-1, T+1 tokens each, one after the other. Not from several threads at once: the
  /// order of the epoch that was read last is kept.
  std::vector<Token> sequences(Index first, Index count) const;

  Index tokens_per_epoch() const { return tokens_per_epoch_; }  ///< end, begin and FIM tokens included
  Index sequences_per_epoch() const { return (tokens_per_epoch_ - 1) / options_.sequence_length; }

 private:
  /// One epoch's orders: what there is to know before a token is read.
  struct Epoch {
    std::vector<Index> document;     ///< in the order of the stream
    std::vector<Index> begin;        ///< where in the stream each of them begins
    std::vector<bool> rearranged;    ///< by number of the document
    std::vector<Index> sequence_at;  ///< which sequence of the stream comes when
  };
  Epoch epoch(Index number) const;
  const Epoch& kept_epoch(Index number) const;
  /// A document as it stands in the stream of an epoch.
  std::vector<Token> packed(Index document, Index number, const Epoch& epoch) const;
  void read(Index number, const Epoch& epoch, Index from, std::vector<Token>& out) const;

  std::vector<std::vector<Token>> documents_;
  PackingOptions options_;
  Index tokens_per_epoch_ = 0;
  mutable Index kept_number_ = 0;
  mutable Epoch kept_;
};

}  // namespace dsv3
