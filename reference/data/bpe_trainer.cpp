// SPDX-License-Identifier: MIT
#include "reference/data/bpe_trainer.hpp"

#include <queue>
#include <unordered_set>

#include "reference/core/require.hpp"
#include "reference/data/byte_level.hpp"

namespace dsv3 {

namespace {

struct Word {
  std::vector<Token> tokens;
  std::int64_t count;
};

/// The highest count first, then the lowest pair; old once the count has changed.
struct Candidate {
  std::int64_t count;
  std::uint64_t pair;
  friend bool operator<(const Candidate& a, const Candidate& b) {
    return a.count != b.count ? a.count < b.count : a.pair > b.pair;
  }
};

/// Where a pair occurs. `words` may name a word twice, or one where the pair no longer is.
struct Pair {
  std::int64_t count = 0;
  std::vector<std::size_t> words;
};

class Trainer {
 public:
  Trainer(const PieceCounts& pieces, const BpeTraining& training) : training_(training) {
    std::array<Token, 256> token_of_byte;
    for (const unsigned char byte : bytes_by_letter())
      token_of_byte[byte] = add_token(std::string(1, static_cast<char>(byte)));
    for (const auto& [piece, count] : pieces) {
      Word word{{}, count};
      for (const char byte : piece) word.tokens.push_back(token_of_byte[static_cast<unsigned char>(byte)]);
      words_.push_back(std::move(word));
    }
  }

  LearntBpe run() {
    for (std::size_t w = 0; w < words_.size(); ++w)
      for (std::size_t i = 1; i < words_[w].tokens.size(); ++i) add(words_[w].tokens[i - 1], words_[w].tokens[i], w);
    offer_changed();
    while (num_tokens() < training_.num_tokens && !queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      const auto found = pairs_.find(best.pair);
      if (found == pairs_.end() || found->second.count < training_.min_count) continue;
      if (found->second.count == best.count) merge(best.pair);
      else queue_.push({found->second.count, best.pair});
    }
    return std::move(learnt_);
  }

 private:
  Token num_tokens() const { return training_.first_token + static_cast<Token>(learnt_.tokens.size()); }

  Token add_token(const std::string& bytes) {
    learnt_.tokens.push_back(bytes);
    return num_tokens() - 1;
  }

  void add(Token left, Token right, std::size_t w) {
    Pair& pair = pairs_[pair_key(left, right)];
    pair.count += words_[w].count;
    if (pair.words.empty() || pair.words.back() != w) pair.words.push_back(w);
    changed_.insert(pair_key(left, right));
  }

  void remove(Token left, Token right, std::size_t w) { pairs_[pair_key(left, right)].count -= words_[w].count; }

  /// A pair whose count rose needs a new place in the queue; one whose count fell is found to be old when it comes up.
  void offer_changed() {
    for (const std::uint64_t pair : changed_)
      if (pairs_[pair].count >= training_.min_count) queue_.push({pairs_[pair].count, pair});
    changed_.clear();
  }

  void merge(std::uint64_t pair) {
    const auto left = static_cast<Token>(pair >> 32), right = static_cast<Token>(pair & 0xFFFFFFFF);
    const auto bytes = [&](Token t) { return learnt_.tokens[t - training_.first_token]; };
    const Merge merge{left, right, add_token(bytes(left) + bytes(right))};
    learnt_.merges.push_back(merge);
    const std::vector<std::size_t> words = std::move(pairs_[pair].words);
    pairs_.erase(pair);
    for (const std::size_t w : words) merge_in(w, merge);
    offer_changed();
  }

  /// Replaces the pair from the left and keeps the counts of its neighbours. The count of the pair itself is no longer
  /// looked at: it cannot come back, since every new pair holds a new token.
  void merge_in(std::size_t w, const Merge& m) {
    std::vector<Token>& tokens = words_[w].tokens;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (i + 1 == tokens.size() || tokens[i] != m.left || tokens[i + 1] != m.right) {
        tokens[kept++] = tokens[i];
        continue;
      }
      if (kept > 0) {
        remove(tokens[kept - 1], m.left, w);
        add(tokens[kept - 1], m.merged, w);
      }
      if (i + 2 < tokens.size()) {
        remove(m.right, tokens[i + 2], w);
        add(m.merged, tokens[i + 2], w);
      }
      tokens[kept++] = m.merged;
      ++i;
    }
    tokens.resize(kept);
  }

  BpeTraining training_;
  LearntBpe learnt_;
  std::vector<Word> words_;
  std::unordered_map<std::uint64_t, Pair> pairs_;
  std::unordered_set<std::uint64_t> changed_;
  std::priority_queue<Candidate> queue_;
};

}  // namespace

LearntBpe train_bpe(const PieceCounts& pieces, const BpeTraining& training) {
  require(training.num_tokens >= training.first_token + 256, "train_bpe", "num_tokens is ", training.num_tokens,
          "; at least ", training.first_token + 256, " are needed (", training.first_token,
          " special ones and 256 bytes)");
  require(training.min_count >= 1, "train_bpe", "min_count is ", training.min_count, "; at least 1 is needed");
  return Trainer(pieces, training).run();
}

}  // namespace dsv3
