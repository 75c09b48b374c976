// SPDX-License-Identifier: MIT
#include "reference/data/tokenizer_json.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "reference/checkpoint/atomic_file.hpp"
#include "reference/checkpoint/mapped_file.hpp"

namespace dsv3 {

Tokenizer load_tokenizer(const std::filesystem::path& file) {
  return parse_tokenizer_json(MappedFile(file).text(), file.string());
}

std::string tokenizer_json(const Tokenizer& tokenizer) {
  using Ordered = nlohmann::ordered_json;
  const TokenizerData& data = tokenizer.data();
  const auto byte_level = [](bool use_regex) {
    return Ordered{
        {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
  };
  Ordered added = Ordered::array();
  for (const AddedToken& a : data.added)
    added.push_back({{"id", a.token},
                     {"content", a.content},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", a.normalized},
                     {"special", a.special}});
  Ordered steps = Ordered::array();
  for (const SplitRule& rule : data.splits)
    steps.push_back({{"type", "Split"},
                     {"pattern", {{rule.is_regex ? "Regex" : "String", rule.pattern}}},
                     {"behavior", "Isolated"},
                     {"invert", false}});
  steps.push_back(byte_level(false));
  Ordered vocab = Ordered::object(), merges = Ordered::array();
  auto& entries = vocab.get_ref<Ordered::object_t&>();  // a vector: emplace() would search all of it each time
  for (const std::string& spelling : data.vocabulary) entries.emplace_back(spelling, entries.size());
  for (const Merge& m : data.merges) merges.push_back(data.vocabulary[m.left] + " " + data.vocabulary[m.right]);
  Ordered model = {{"type", "BPE"},
                   {"dropout", nullptr},
                   {"unk_token", nullptr},
                   {"continuing_subword_prefix", nullptr},
                   {"end_of_word_suffix", nullptr},
                   {"fuse_unk", false},
                   {"byte_fallback", false},
                   {"ignore_merges", data.ignore_merges}};
  model["vocab"] = std::move(vocab);
  model["merges"] = std::move(merges);
  const Ordered root = {{"version", "1.0"},
                        {"truncation", nullptr},
                        {"padding", nullptr},
                        {"added_tokens", added},
                        {"normalizer", nullptr},
                        {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", steps}}},
                        {"post_processor", nullptr},
                        {"decoder", byte_level(true)},
                        {"model", model}};
  return root.dump(2) + "\n";
}

void save_tokenizer(const Tokenizer& tokenizer, const std::filesystem::path& file) {
  write_file(file, tokenizer_json(tokenizer));
}

}  // namespace dsv3
