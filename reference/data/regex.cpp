// SPDX-License-Identifier: MIT
#include "reference/data/regex.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <cstdint>

#include "reference/core/require.hpp"
#include "reference/data/utf8.hpp"

namespace dsv3 {

namespace {

constexpr std::size_t longest_pattern = 10000;  // published ones have a few hundred bytes; PCRE2's own limit is later

PCRE2_SPTR units(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

std::string message(int error) {
  char text[256] = "";
  pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(text), sizeof text);
  return text;
}

const pcre2_code* code(const std::shared_ptr<const void>& p) { return static_cast<const pcre2_code*>(p.get()); }

using MatchData = std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)>;
using MatchContext = std::unique_ptr<pcre2_match_context, decltype(&pcre2_match_context_free)>;

/// Steps a match may take: patterns that backtrack exponentially end in an error, a long run of white space does not.
MatchContext step_limit(std::size_t bytes) {
  MatchContext context(pcre2_match_context_create(nullptr), pcre2_match_context_free);
  require_world(context != nullptr, "Regex", "no memory for a match");
  const std::size_t steps = std::min<std::size_t>(1000 * bytes + 1000, UINT32_MAX);
  pcre2_set_match_limit(context.get(), static_cast<std::uint32_t>(steps));
  pcre2_set_heap_limit(context.get(), 256 * 1024);  // KiB
  return context;
}

}  // namespace

Regex::Regex(std::string_view pattern) : Regex(pcre2_syntax(pattern), 0u) {}

Regex Regex::literal(std::string_view text) {
  require_world(utf8_prefix(text) == text.size(), "Regex::literal", "the pattern is not UTF-8");
  return Regex(text, PCRE2_LITERAL);
}

Regex::Regex(std::string_view pcre2_pattern, unsigned options) : pattern_(pcre2_pattern) {
  require_world(!pattern_.empty() && pattern_.size() <= longest_pattern, "Regex", "a pattern of ", pattern_.size(),
                " bytes; 1 to ", longest_pattern, " are needed");
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* compiled = pcre2_compile(units(pattern_), pattern_.size(), options | PCRE2_UTF | PCRE2_NO_UTF_CHECK,
                                       &error, &offset, nullptr);
  require_world(compiled != nullptr, "Regex", "'", pattern_, "' at offset ", offset, ": ", message(error));
  code_ = std::shared_ptr<const void>(
      compiled, [](const void* p) { pcre2_code_free(const_cast<pcre2_code*>(static_cast<const pcre2_code*>(p))); });
  pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);  // where there is no JIT the interpreter matches, more slowly
}

void Regex::cut(std::string_view text, std::vector<std::string_view>& pieces) const {
  const MatchData match(pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
  require_world(match != nullptr, "Regex", "no memory for a match");
  const MatchContext limit = step_limit(text.size());
  const PCRE2_SIZE* const span = pcre2_get_ovector_pointer(match.get());
  std::size_t done = 0, last_end = std::string_view::npos;
  const auto add_until = [&](std::size_t end) {
    if (end > done) pieces.push_back(text.substr(done, end - done));
    done = end;
  };
  for (std::size_t from = 0; from <= text.size();) {
    const auto find = [&](std::uint32_t options) {
      return pcre2_match(code(code_), units(text), text.size(), from, PCRE2_NO_UTF_CHECK | options, match.get(),
                         limit.get());
    };
    int found = find(0);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) found = find(PCRE2_NO_JIT);
    if (found == PCRE2_ERROR_NOMATCH) break;
    require_world(found >= 0, "Regex", "'", pattern_, "' on ", text.size(), " bytes: ", message(found));
    const std::size_t begin = span[0], end = span[1];
    if (begin == end && end == last_end) {  // an empty match where the last one ended does not count
      if (from == text.size()) break;
      from += first_character(text.substr(from)).bytes;
      last_end = std::string_view::npos;
      continue;
    }
    add_until(begin);
    add_until(end);
    from = last_end = end;
  }
  add_until(text.size());
}

}  // namespace dsv3
