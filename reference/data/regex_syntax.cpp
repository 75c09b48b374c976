// SPDX-License-Identifier: MIT
#include <array>
#include <cctype>
#include <vector>

#include "reference/core/require.hpp"
#include "reference/data/regex.hpp"
#include "reference/data/utf8.hpp"

namespace dsv3 {

namespace {

constexpr std::string_view white_space = R"(\x{9}-\x{d}\x{85}\p{Z})";  // Unicode's White_Space, inside a class

constexpr std::array<std::string_view, 36> categories = {
    "L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc", "Me", "N",  "Nd", "Nl", "No", "P",  "Pc", "Pd", "Ps",
    "Pe", "Pi", "Pf", "Po", "S",  "Sm", "Sc", "Sk", "So", "Z",  "Zs", "Zl", "Zp", "C",  "Cc", "Cf", "Co", "Cn"};

/// Pairs of letters that one character outside ASCII folds to (U+00DF to ss, U+FB00 to ff, ...): Oniguruma matches it
/// in their place where case is ignored, PCRE2 does not.
constexpr std::array<std::string_view, 5> folded_pairs = {"ss", "st", "ff", "fi", "fl"};

/// What stands before a quantifier.
enum class Before { nothing, item, quantified };

struct Group {
  bool assertion = false;
  bool ignores_case = false;
};

class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  std::string run() {
    const std::size_t prefix = utf8_prefix(pattern_);
    check(prefix == pattern_.size(), prefix, "it is not UTF-8");
    while (!done()) step();
    check(groups_.empty(), at_, "a group is not closed");
    return std::move(out_);
  }

 private:
  bool done() const { return at_ == pattern_.size(); }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0'; }
  bool at(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }
  bool ignores_case() const { return !groups_.empty() && groups_.back().ignores_case; }

  template <class... Parts>
  void check(bool ok, std::size_t offset, const Parts&... what) const {
    require_world(ok, "Regex", "'", pattern_, "' at offset ", offset, ": ", what...);
  }

  void put(std::string_view text, Before what) {
    out_ += text;
    before_ = what;
  }

  void step() {
    const char c = peek();
    if (c == '\\') return escape();
    if (c == '[') return character_class();
    if (c == '(') return open_group();
    if (c == ')') return close_group();
    if (c == '*' || c == '+' || c == '?') return quantifier();
    if (c == '{') return interval();
    check(c != '^', at_, "'^' is not supported");
    if (c == '$') {
      put("(?!.)", Before::nothing);
      ++at_;
    } else if (c == '|') {
      put("|", Before::nothing);
      ++at_;
    } else {
      literal();
    }
  }

  void literal() {
    const std::size_t bytes = first_character(pattern_.substr(at_)).bytes;
    if (ignores_case()) {
      check(bytes == 1 && peek() != '.', at_, "only ASCII letters and signs are supported where case is ignored");
      const auto lower = [](char letter) {
        return static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
      };
      const std::string pair = {lower(peek()), lower(peek(1))};
      for (const std::string_view folded : folded_pairs)
        check(pair != folded, at_, "'", folded, "' is not supported where case is ignored");
    }
    put(pattern_.substr(at_, bytes), Before::item);
    at_ += bytes;
  }

  void open_group() {
    check(!ignores_case(), at_, "a group is not supported where case is ignored");
    Group group;
    std::string_view opening = "(";
    if (at("(?")) {
      for (const std::string_view known : {"(?:", "(?=", "(?!", "(?i:"})
        if (at(known)) opening = known;
      check(opening != "(", at_, "only the groups ( ), (?: ), (?= ), (?! ) and (?i: ) are supported");
      group.assertion = opening == "(?=" || opening == "(?!";
      group.ignores_case = opening == "(?i:";
    }
    groups_.push_back(group);
    put(opening, Before::nothing);
    at_ += opening.size();
  }

  void close_group() {
    check(!groups_.empty(), at_, "')' closes no group");
    put(")", groups_.back().assertion ? Before::nothing : Before::item);
    groups_.pop_back();
    ++at_;
  }

  /// `* + ?`, then ? for lazy or + for possessive.
  void quantifier() {
    check(before_ != Before::nothing, at_, "nothing to repeat");
    check(before_ != Before::quantified, at_, "a quantifier after a quantifier is not supported");
    const std::size_t size = peek(1) == '?' || peek(1) == '+' ? 2 : 1;
    put(pattern_.substr(at_, size), Before::quantified);
    at_ += size;
  }

  std::size_t digits(std::size_t from) const {
    std::size_t end = from;
    while (end < pattern_.size() && std::isdigit(static_cast<unsigned char>(pattern_[end]))) ++end;
    return end - from;
  }

  /// {n} {n,} {n,m}; what follows is no quantifier: {n}? means different things in different syntaxes.
  void interval() {
    check(before_ == Before::item, at_, "nothing to repeat");
    std::size_t end = at_ + 1;
    const std::size_t low = digits(end);
    end += low;
    if (low > 0 && end < pattern_.size() && pattern_[end] == ',') end += 1 + digits(end + 1);
    check(low > 0 && end < pattern_.size() && pattern_[end] == '}', at_, "only {n}, {n,} and {n,m} are supported");
    ++end;
    put(pattern_.substr(at_, end - at_), Before::quantified);
    at_ = end;
    check(done() || std::string_view("?+*{").find(peek()) == std::string_view::npos, at_,
          "a quantifier after a quantifier is not supported");
  }

  /// \p{Lu} or \P{Lu}, from the backslash on.
  std::string_view category() {
    const std::size_t close = pattern_.find('}', at_);
    check(peek(2) == '{' && close != std::string_view::npos, at_, "'\\p' needs {category}");
    const std::string_view name = pattern_.substr(at_ + 3, close - at_ - 3);
    bool known = false;
    for (const std::string_view category : categories) known |= name == category;
    check(known, at_, "'", name, "' is no general category that is supported");
    return pattern_.substr(at_, close + 1 - at_);
  }

  bool escaped_sign() const { return std::ispunct(static_cast<unsigned char>(peek(1))); }
  bool escaped_control() const { return std::string_view("rntf").find(peek(1)) != std::string_view::npos; }

  void escape() {
    check(at_ + 1 < pattern_.size(), at_, "'\\' at the end");
    const char c = peek(1);
    std::string meaning;
    std::size_t size = 2;
    if (escaped_sign() || escaped_control()) {
      meaning = pattern_.substr(at_, 2);
    } else if (c == 'p' || c == 'P') {
      meaning = category();
      size = meaning.size();
    } else if (c == 's' || c == 'S') {
      meaning = concat(c == 's' ? "[" : "[^", white_space, "]");
    } else if (c == 'd' || c == 'D') {
      meaning = c == 'd' ? "\\p{Nd}" : "\\P{Nd}";
    } else {
      check(false, at_, "'\\", c, "' is not supported");
    }
    check(!ignores_case() || escaped_sign(), at_, "'\\", c, "' is not supported where case is ignored");
    put(meaning, Before::item);
    at_ += size;
  }

  void character_class() {
    check(!ignores_case(), at_, "a class is not supported where case is ignored");
    const std::size_t begin = at_;
    out_ += at("[^") ? "[^" : "[";
    at_ += at("[^") ? 2 : 1;
    check(peek() != ']', at_, "']' first in a class is not supported");
    while (!done() && peek() != ']') class_member();
    check(!done(), begin, "the class is not closed");
    put("]", Before::item);
    ++at_;
  }

  void class_member() {
    check(peek() != '[', at_, "'[' in a class needs '\\' before it");
    check(!at("&&"), at_, "'&&' in a class is not supported");
    if (peek() != '\\' || escaped_sign() || escaped_control()) {
      const std::size_t bytes = peek() == '\\' ? 2 : first_character(pattern_.substr(at_)).bytes;
      out_ += pattern_.substr(at_, bytes);
      at_ += bytes;
      return;
    }
    const char c = peek(1);
    check(c == 's' || c == 'd' || c == 'p' || c == 'P', at_, "'\\", c, "' in a class is not supported");
    check(out_.back() != '-', at_, "'-' before '\\", c, "' is not supported");
    const std::string_view named = c == 'p' || c == 'P' ? category() : pattern_.substr(at_, 2);
    out_ += c == 's' ? white_space : c == 'd' ? R"(\p{Nd})" : named;
    at_ += named.size();
    check(peek() != '-', at_, "'-' after '\\", c, "' is not supported");
  }

  std::string_view pattern_;
  std::size_t at_ = 0;
  std::string out_;
  Before before_ = Before::nothing;
  std::vector<Group> groups_;
};

}  // namespace

std::string pcre2_syntax(std::string_view pattern) { return Translator(pattern).run(); }

}  // namespace dsv3
