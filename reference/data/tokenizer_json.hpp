// SPDX-License-Identifier: MIT
/// \file
/// Tokenizers as files: the `tokenizer.json` of the Hugging Face `tokenizers` library, version 1.0.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

#include "reference/data/tokenizer.hpp"

namespace dsv3 {

/// Reads a tokenizer.json that holds a byte-level BPE:
///  - model BPE with merges as "a b" or ["a", "b"], with or without ignore_merges; all 256 bytes in the vocabulary,
///    tokens numbered 0, 1, ... without gaps;
///  - pre_tokenizer ByteLevel, with use_regex or without, or a Sequence that ends in it, of Split (Regex or String,
///    Isolated) and Digits;
///  - decoder ByteLevel; no normalizer (or an empty Sequence); no post_processor, or one that adds no token;
///  - added tokens, special or not, normalized or not.
/// Whatever else would change the tokens is refused by name: add_prefix_space, lstrip, rstrip, single_word, dropout,
/// prefixes and suffixes of subwords, truncation, padding, a TemplateProcessing, and every field not known here; and,
/// as parse_strict_json does, a key that appears twice in one object, more than 64 levels and more than 100 MB.
/// `where` stands at the front of messages. Throws std::runtime_error; nothing in the text makes it crash.
Tokenizer parse_tokenizer_json(std::string_view text, std::string_view where = "tokenizer.json");
Tokenizer load_tokenizer(const std::filesystem::path& file);

/// The same tokenizer as text. Splitting rules that came from Digits or use_regex are written as Split.
std::string tokenizer_json(const Tokenizer& tokenizer);
/// Written under another name first and then renamed, so that `file` is never half there.
void save_tokenizer(const Tokenizer& tokenizer, const std::filesystem::path& file);

}  // namespace dsv3
