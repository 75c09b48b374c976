// SPDX-License-Identifier: MIT
#include "reference/data/bpe.hpp"

#include <queue>

#include "reference/core/require.hpp"

namespace dsv3 {

namespace {

constexpr std::int32_t none = -1;

/// A token of the piece, linked to its neighbours; a merge keeps the left one and takes the right one out.
struct Symbol {
  Token token;
  std::int32_t previous, next;
};

/// A pair that could be merged, by rank and then by place; old once either side has changed.
struct Candidate {
  std::int32_t rank, at;
  friend bool operator>(const Candidate& a, const Candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
  }
};

}  // namespace

Bpe::Bpe(const std::array<Token, 256>& token_of_byte, const std::vector<Merge>& merges)
    : token_of_byte_(token_of_byte) {
  merges_.reserve(merges.size());
  for (const Merge& m : merges) {
    const Ranked ranked{static_cast<std::int32_t>(merges_.size()), m.merged};
    const bool is_new = merges_.emplace(pair_key(m.left, m.right), ranked).second;
    require(is_new, "Bpe", "the merge of tokens ", m.left, " and ", m.right,
            " is there twice; each pair once is needed");
  }
}

const Bpe::Ranked* Bpe::find(Token left, Token right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void Bpe::encode(std::string_view piece, std::vector<Token>& out) const {
  require(piece.size() < INT32_MAX, "Bpe::encode", "a piece of ", piece.size(), " bytes; less than 2 GiB is needed");
  const auto size = static_cast<std::int32_t>(piece.size());
  std::vector<Symbol> symbols(piece.size());
  for (std::int32_t i = 0; i < size; ++i)
    symbols[i] = {token_of_byte_[static_cast<unsigned char>(piece[i])], i - 1, i + 1 < size ? i + 1 : none};
  const auto pair_at = [&](std::int32_t i) { return find(symbols[i].token, symbols[symbols[i].next].token); };

  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto offer = [&](std::int32_t i) {
    if (i == none || symbols[i].next == none) return;
    if (const Ranked* merge = pair_at(i)) queue.push({merge->rank, i});
  };
  for (std::int32_t i = 0; i < size; ++i) offer(i);
  constexpr Token taken = -1;
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = symbols[best.at];
    if (left.token == taken || left.next == none) continue;
    const Ranked* merge = pair_at(best.at);
    if (merge == nullptr || merge->rank != best.rank) continue;
    Symbol& right = symbols[left.next];
    left.token = merge->merged;
    left.next = right.next;
    right.token = taken;
    if (left.next != none) symbols[left.next].previous = best.at;
    offer(left.previous);
    offer(best.at);
  }
  for (std::int32_t i = size > 0 ? 0 : none; i != none; i = symbols[i].next) out.push_back(symbols[i].token);
}

}  // namespace dsv3
