// SPDX-License-Identifier: MIT
/// \file
/// Training text: files cut into documents, and some of the documents held out.
#pragma once
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "reference/core/real.hpp"
#include "reference/data/tokenizer.hpp"

namespace dsv3 {

struct Document {
  std::filesystem::path file;
  std::size_t offset = 0;  ///< of its first byte in the file
  std::string text;
};

/// A file of more bytes than this is taken for a collection and cut.
inline constexpr std::size_t document_bytes = 16384;

/// The documents of a text. A text of at most document_bytes is one document. A longer one is cut wherever two or more
/// blank lines follow each other; a piece that is still longer is cut at its blank lines, and what is then still longer
/// at its line ends, neighbouring parts staying together while they fit. A line is never cut. Blank lines at the ends
/// of a document are left out (a blank line is empty or holds spaces and tabs), and so are documents of blank lines
/// only.
std::vector<std::string_view> cut_into_documents(std::string_view text);

/// The documents of a file, or of all regular files below a folder in the order of their paths (bytes compared); files
/// and folders whose name begins with a dot are left out. Texts are taken as they are: no byte changes.
/// Throws std::runtime_error naming the file where something cannot be read, is no regular file, is empty, or is not
/// UTF-8 (with the offset of the first wrong byte), or where a folder holds no file.
std::vector<Document> load_documents(const std::filesystem::path& path);

struct Corpus {
  std::vector<Document> training, held_out;
};

/// Holds out documents every - 1, 2 every - 1, ...: one of `every`, spread over all of the text, the same ones each
/// time. Of fewer documents than that the last 1/every of each is held out, from a word's beginning on.
/// Throws std::invalid_argument if `every` is below 2, std::runtime_error if the text is too short for either.
Corpus hold_out(std::vector<Document> documents, Index every = 20);

/// The tokens of each document as ordinary text: a name of a special token in it stays text. On all threads.
std::vector<std::vector<Token>> encode_documents(const Tokenizer& tokenizer, std::span<const Document> documents);

}  // namespace dsv3
