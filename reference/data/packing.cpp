// SPDX-License-Identifier: MIT
#include "reference/data/packing.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "reference/core/require.hpp"

namespace dsv3 {

namespace {

/// 0 .. count-1, every order equally likely.
std::vector<Index> shuffled(Index count, Random random) {
  std::vector<Index> order(count);
  std::iota(order.begin(), order.end(), Index{0});
  for (Index i = count; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

/// What the random streams of an epoch are for. Their seeds differ, so that none repeats another's numbers.
enum class Purpose : std::uint64_t { documents, sequences, choice, cuts };

Random purpose_stream(std::uint64_t seed, Purpose purpose, Index epoch) {
  return stream(stream(seed, static_cast<std::uint64_t>(purpose)).bits(), static_cast<std::uint64_t>(epoch));
}

}  // namespace

PackedText::PackedText(std::vector<std::vector<Token>> documents, const PackingOptions& options)
    : documents_(std::move(documents)), options_(options) {
  require(options.sequence_length >= 1, "PackedText", "sequence_length is ", options.sequence_length,
          "; at least 1 is needed");
  require(options.fim_rate == 0 || options.fim.has_value(), "PackedText", "fim_rate is ", options.fim_rate,
          " but there are no FIM tokens; they are needed");
  kept_ = epoch(0);
  tokens_per_epoch_ = kept_.begin.back();
  require_world(sequences_per_epoch() >= 1, "PackedText", "the text has ", tokens_per_epoch_, " tokens; at least ",
                options.sequence_length + 1, " are needed for one sequence");
}

PackedText::Epoch PackedText::epoch(Index number) const {
  const auto count = static_cast<Index>(documents_.size());
  Epoch e;
  Random choice = purpose_stream(options_.seed, Purpose::choice, number);
  e.rearranged = choose_for_fim(count, options_.fim_rate, choice);
  e.document = shuffled(count, purpose_stream(options_.seed, Purpose::documents, number));
  e.begin = {0};
  for (const Index d : e.document) {
    const Index size = static_cast<Index>(documents_[d].size()) + 1 + options_.begin_token.has_value();
    e.begin.push_back(e.begin.back() + size + (e.rearranged[d] ? 3 : 0));
  }
  const Index num_sequences = std::max<Index>(e.begin.back() - 1, 0) / options_.sequence_length;
  e.sequence_at = shuffled(num_sequences, purpose_stream(options_.seed, Purpose::sequences, number));
  return e;
}

const PackedText::Epoch& PackedText::kept_epoch(Index number) const {
  if (number != kept_number_) {
    kept_number_ = -1;
    kept_ = {};  // two orders at once are not needed
    kept_ = epoch(number);
    kept_number_ = number;
  }
  return kept_;
}

std::vector<Token> PackedText::packed(Index document, Index number, const Epoch& epoch) const {
  std::vector<Token> tokens = documents_[document];
  if (epoch.rearranged[document]) {
    const std::uint64_t seed = purpose_stream(options_.seed, Purpose::cuts, number).bits();
    Random cuts = stream(seed, static_cast<std::uint64_t>(document));
    tokens = fill_in_the_middle(tokens, *options_.fim, cuts);
  }
  if (options_.begin_token) tokens.insert(tokens.begin(), *options_.begin_token);
  tokens.push_back(options_.end_token);
  return tokens;
}

/// Adds the T+1 tokens of the stream that begin at `from`.
void PackedText::read(Index number, const Epoch& epoch, Index from, std::vector<Token>& out) const {
  const Index end = from + options_.sequence_length + 1;
  auto place = std::upper_bound(epoch.begin.begin(), epoch.begin.end(), from) - epoch.begin.begin() - 1;
  for (; from < end; ++place) {
    const std::vector<Token> tokens = packed(epoch.document[place], number, epoch);
    const Index skip = from - epoch.begin[place];
    const Index take = std::min(end - from, static_cast<Index>(tokens.size()) - skip);
    out.insert(out.end(), tokens.begin() + skip, tokens.begin() + skip + take);
    from += take;
  }
}

std::vector<Token> PackedText::sequences(Index first, Index count) const {
  require(first >= 0 && count >= 0, "PackedText::sequences", "first is ", first, ", count is ", count,
          "; neither can be negative");
  std::vector<Token> tokens;
  tokens.reserve(count * (options_.sequence_length + 1));
  for (Index i = first; i < first + count;) {
    const Index number = i / sequences_per_epoch();
    const Epoch& e = kept_epoch(number);
    for (; i < first + count && i / sequences_per_epoch() == number; ++i)
      read(number, e, e.sequence_at[i % sequences_per_epoch()] * options_.sequence_length, tokens);
  }
  return tokens;
}

}  // namespace dsv3
