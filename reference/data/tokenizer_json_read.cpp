// SPDX-License-Identifier: MIT
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

#include "reference/checkpoint/strict_json.hpp"
#include "reference/core/require.hpp"
#include "reference/data/tokenizer_json.hpp"

namespace dsv3 {

namespace {

using Json = nlohmann::json;

/// A value and the way to it, for messages.
class Node {
 public:
  Node(const Json& value, std::string path) : value_(value), path_(std::move(path)) {}

  template <class... Parts>
  void check(bool ok, const Parts&... what) const {
    require_world(ok, path_, what...);
  }

  bool is_null() const { return value_.is_null(); }
  bool is_string() const { return value_.is_string(); }
  bool is_array() const { return value_.is_array(); }
  bool is_object() const { return value_.is_object(); }
  bool has(const char* name) const { return value_.contains(name); }
  const Json& json() const { return value_; }

  /// An object with no fields but these.
  const Node& object(std::initializer_list<const char*> fields) const {
    check(is_object(), "is ", value_.type_name(), "; an object is needed");
    for (const auto& [name, value] : value_.items()) {
      bool known = false;
      for (const char* field : fields) known |= name == field;
      check(known, "'", name, "' is not known");
    }
    return *this;
  }

  Node operator[](const char* name) const {
    check(is_object() && has(name), "'", name, "' is missing");
    return Node(value_.at(name), path_ + "." + name);
  }

  std::vector<Node> items() const {
    check(is_array(), "is ", value_.type_name(), "; an array is needed");
    std::vector<Node> all;
    for (const Json& item : value_) all.emplace_back(item, concat(path_, "[", all.size(), "]"));
    return all;
  }

  const std::string& text() const {
    check(is_string(), "is ", value_.type_name(), "; a string is needed");
    return value_.get_ref<const std::string&>();
  }

  bool boolean() const {
    check(value_.is_boolean(), "is ", value_.type_name(), "; true or false is needed");
    return value_.get<bool>();
  }
  bool boolean(const char* name, bool otherwise) const { return has(name) ? (*this)[name].boolean() : otherwise; }

  /// 0 .. limit-1
  Token token(std::size_t limit) const {
    check(value_.is_number_unsigned() && value_.get<std::uint64_t>() < limit, "is ", value_.dump(), "; 0 to ",
          limit - 1, " is needed");
    return value_.get<Token>();
  }

  /// A field that may be missing and must not say anything that changes tokens.
  void needs_null(const char* name) const {
    if (has(name)) check((*this)[name].is_null(), "'", name, "' is not supported");
  }
  void needs_false(const char* name) const { check(!boolean(name, false), "'", name, "' true is not supported"); }
  void needs_empty(const char* name) const {
    if (has(name) && !(*this)[name].is_null()) check((*this)[name].text().empty(), "'", name, "' is not supported");
  }

 private:
  const Json& value_;
  std::string path_;
};

std::vector<std::string> read_vocabulary(const Node& vocab) {
  vocab.check(vocab.is_object(), "an object is needed");
  std::vector<std::string> vocabulary(vocab.json().size());
  for (const auto& [spelling, number] : vocab.json().items()) {
    const Token token = Node(number, "vocab '" + spelling + "'").token(vocabulary.size());
    vocab.check(vocabulary[token].empty(), "token ", token, " is '", vocabulary[token], "' and '", spelling, "'");
    vocab.check(!spelling.empty(), "token ", token, " is empty");
    vocabulary[token] = spelling;
  }
  return vocabulary;
}

/// "a b" or ["a", "b"]
std::pair<std::string_view, std::string_view> read_pair(const Node& merge) {
  if (merge.is_array()) {
    const std::vector<Node> sides = merge.items();
    merge.check(sides.size() == 2, "has ", sides.size(), " parts; 2 are needed");
    return {sides[0].text(), sides[1].text()};
  }
  const std::string_view both = merge.text();
  const std::size_t space = both.find(' ');
  merge.check(space != both.npos && both.find(' ', space + 1) == both.npos, "'", both,
              "' is no two parts with a space between");
  return {both.substr(0, space), both.substr(space + 1)};
}

std::vector<Merge> read_merges(const Node& list, const std::vector<std::string>& vocabulary) {
  TextMap<Token> tokens;
  for (const std::string& spelling : vocabulary) tokens.emplace(spelling, static_cast<Token>(tokens.size()));
  std::vector<Merge> merges;
  std::unordered_set<std::uint64_t> pairs;
  for (const Node& item : list.items()) {
    const auto [left, right] = read_pair(item);
    const auto token = [&](std::string_view spelling) {
      const auto found = tokens.find(spelling);
      item.check(found != tokens.end(), "'", spelling, "' is not in the vocabulary");
      return found->second;
    };
    merges.push_back({token(left), token(right), token(concat(left, right))});
    const bool is_new = pairs.insert(pair_key(merges.back().left, merges.back().right)).second;
    item.check(is_new, "'", left, "' and '", right, "' are merged twice");
  }
  return merges;
}

void read_model(const Node& model, TokenizerData& data) {
  model.object({"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
                "byte_fallback", "ignore_merges", "vocab", "merges"});
  const std::string& type = model["type"].text();
  model.check(type == "BPE", "type '", type, "' is not supported; BPE is needed");
  model.needs_null("dropout");
  model.needs_empty("continuing_subword_prefix");
  model.needs_empty("end_of_word_suffix");
  data.ignore_merges = model.boolean("ignore_merges", false);
  data.vocabulary = read_vocabulary(model["vocab"]);
  data.merges = read_merges(model["merges"], data.vocabulary);
}

SplitRule read_split(const Node& split) {
  split.object({"type", "pattern", "behavior", "invert"});
  const std::string& behavior = split["behavior"].text();
  split.check(behavior == "Isolated", "behavior '", behavior, "' is not supported; Isolated is needed");
  split.needs_false("invert");
  const Node pattern = split["pattern"].object({"Regex", "String"});
  pattern.check(pattern.has("Regex") != pattern.has("String"), "either Regex or String is needed");
  const bool is_regex = pattern.has("Regex");
  const std::string& text = pattern[is_regex ? "Regex" : "String"].text();
  pattern.check(!text.empty(), "the pattern is empty");
  return {text, is_regex};
}

SplitRule read_digits(const Node& digits) {
  return {digits.object({"type", "individual_digits"})["individual_digits"].boolean() ? "\\p{N}" : "\\p{N}+"};
}

void read_byte_level(const Node& byte_level, TokenizerData& data) {
  byte_level.object({"type", "add_prefix_space", "trim_offsets", "use_regex"});
  byte_level.check(!byte_level["add_prefix_space"].boolean(),
                   "'add_prefix_space' true is not supported: a text would not come back as it was");
  if (byte_level.boolean("use_regex", true)) data.splits.push_back(gpt2_split());
}

void read_pre_tokenizer(const Node& pre, TokenizerData& data) {
  pre.check(!pre.is_null(), "is missing; ByteLevel is needed");
  std::vector<Node> steps{pre};
  if (pre["type"].text() == "Sequence") steps = pre.object({"type", "pretokenizers"})["pretokenizers"].items();
  bool byte_level = false;
  for (const Node& step : steps) {
    const std::string& type = step["type"].text();
    step.check(!byte_level, type, " after ByteLevel is not supported");
    byte_level = type == "ByteLevel";
    if (byte_level) read_byte_level(step, data);
    else if (type == "Split") data.splits.push_back(read_split(step));
    else if (type == "Digits") data.splits.push_back(read_digits(step));
    else step.check(false, "type '", type, "' is not supported; Split, Digits or ByteLevel is needed");
  }
  pre.check(byte_level, "does not end in ByteLevel");
}

/// Refuses whatever adds or changes tokens; a ByteLevel here moves offsets only.
void check_post_processor(const Node& post) {
  if (post.is_null()) return;
  std::vector<Node> steps{post};
  if (post["type"].text() == "Sequence") steps = post.object({"type", "processors"})["processors"].items();
  for (const Node& step : steps) {
    const std::string& type = step["type"].text();
    step.check(type == "ByteLevel", "type '", type, "' is not supported: it may add tokens");
  }
}

void check_rest(const Node& root) {
  const std::string& version = root["version"].text();
  root.check(version == "1.0", "version '", version, "' is not supported; 1.0 is needed");
  root.needs_null("truncation");
  root.needs_null("padding");
  if (root.has("normalizer") && !root["normalizer"].is_null()) {
    const Node normalizer = root["normalizer"];
    const std::string& type = normalizer["type"].text();
    const bool empty = type == "Sequence" && normalizer["normalizers"].items().empty();
    normalizer.check(empty, "type '", type, "' is not supported; none, or an empty Sequence, is needed");
  }
  if (root.has("post_processor")) check_post_processor(root["post_processor"]);
  const std::string& decoder = root["decoder"]["type"].text();
  root.check(decoder == "ByteLevel", "decoder '", decoder, "' is not supported; ByteLevel is needed");
}

std::vector<AddedToken> read_added(const Node& list, std::size_t num_vocabulary) {
  std::vector<AddedToken> added;
  const std::vector<Node> items = list.items();
  for (const Node& item : items) {
    item.object({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
    for (const char* flag : {"single_word", "lstrip", "rstrip"}) item.needs_false(flag);
    const std::string& content = item["content"].text();
    item.check(!content.empty(), "content is empty");
    added.push_back({item["id"].token(num_vocabulary + items.size()), content, item["special"].boolean(),
                     item["normalized"].boolean()});
  }
  return added;
}

TokenizerData read(const Json& json, std::string_view where) {
  const Node root(json, std::string(where));
  root.object({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor",
               "decoder", "model"});
  check_rest(root);
  TokenizerData data;
  read_model(root["model"], data);
  read_pre_tokenizer(root["pre_tokenizer"], data);
  data.added = read_added(root["added_tokens"], data.vocabulary.size());
  return data;
}

}  // namespace

Tokenizer parse_tokenizer_json(std::string_view text, std::string_view where) {
  const Json json = parse_strict_json(text, std::string(where));
  try {
    return Tokenizer(read(json, "tokenizer"));
  } catch (const std::exception& error) {
    throw std::runtime_error(concat(where, ": ", error.what()));
  }
}

}  // namespace dsv3
