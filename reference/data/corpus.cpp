// SPDX-License-Identifier: MIT
#include "reference/data/corpus.hpp"

#include <algorithm>
#include <utility>

#include "reference/checkpoint/mapped_file.hpp"
#include "reference/core/require.hpp"
#include "reference/core/threads.hpp"
#include "reference/data/utf8.hpp"

namespace dsv3 {

namespace {

namespace fs = std::filesystem;

using Views = std::vector<std::string_view>;

/// The lines with their ends.
Views lines_of(std::string_view text) {
  Views lines;
  while (!text.empty()) {
    const std::size_t size = std::min(text.find('\n'), text.size() - 1) + 1;
    lines.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return lines;
}

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r\n") == line.npos; }

/// From the first byte of `first` to the last of `last`, which lie in one text.
std::string_view join(std::string_view first, std::string_view last) {
  return {first.data(), static_cast<std::size_t>(last.data() + last.size() - first.data())};
}

/// Cut wherever `num_blank` blank lines or more follow each other; blank lines at the ends are left out.
Views cut_at_blank_lines(std::string_view text, int num_blank) {
  Views pieces;
  std::string_view piece;
  int blank = num_blank;
  for (const std::string_view line : lines_of(text)) {
    if (is_blank(line)) {
      ++blank;
      continue;
    }
    if (blank >= num_blank && !piece.empty()) pieces.push_back(std::exchange(piece, {}));
    piece = piece.empty() ? line : join(piece, line);
    blank = 0;
  }
  if (!piece.empty()) pieces.push_back(piece);
  return pieces;
}

/// Neighbours together, with what lies between them, while they have at most document_bytes.
Views gather(const Views& parts) {
  Views pieces;
  for (const std::string_view part : parts) {
    if (!pieces.empty() && join(pieces.back(), part).size() <= document_bytes)
      pieces.back() = join(pieces.back(), part);
    else pieces.push_back(part);
  }
  return pieces;
}

/// The pieces, those of more than document_bytes replaced by what `cut` makes of them.
template <class Cut>
Views cut_long(const Views& pieces, const Cut& cut) {
  Views all;
  for (const std::string_view piece : pieces) {
    const Views parts = piece.size() > document_bytes ? cut(piece) : Views{piece};
    all.insert(all.end(), parts.begin(), parts.end());
  }
  return all;
}

/// Opened as what it must be, a regular file: a device may never end.
MappedFile open_text(const fs::path& file) {
  MappedFile mapped(file);
  const std::string_view text = mapped.text();
  require_world(std::any_of(text.begin(), text.end(),
                            [](char c) {
                              return !is_blank({&c, 1});
                            }),
                file.string(), "is empty; text is needed");
  const std::size_t good = utf8_prefix(text);
  require_world(good == text.size(), file.string(), "byte ", good, " is ",
                static_cast<int>(static_cast<unsigned char>(text[std::min(good, text.size() - 1)])),
                ", which is not UTF-8; UTF-8 text is needed");
  return mapped;
}

bool is_hidden(const fs::path& path) { return path.filename().native().starts_with('.'); }

std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> files;
  for (auto entry = fs::recursive_directory_iterator(folder); entry != fs::recursive_directory_iterator(); ++entry) {
    if (is_hidden(entry->path())) entry.disable_recursion_pending();
    else if (entry->is_regular_file()) files.push_back(entry->path());
  }
  std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
  require_world(!files.empty(), folder.string(), "holds no file; at least one text file is needed");
  return files;
}

}  // namespace

std::vector<std::string_view> cut_into_documents(std::string_view text) {
  if (text.size() <= document_bytes) return gather(cut_at_blank_lines(text, 1));
  const Views sections = cut_at_blank_lines(text, 2);
  const Views passages =
      cut_long(sections, [](std::string_view piece) { return gather(cut_at_blank_lines(piece, 1)); });
  return cut_long(passages, [](std::string_view piece) { return gather(lines_of(piece)); });
}

std::vector<Document> load_documents(const std::filesystem::path& path) {
  require_world(fs::exists(path), path.string(), "is not there; a text file or a folder of text files is needed");
  std::vector<Document> documents;
  for (const fs::path& file : fs::is_directory(path) ? files_below(path) : std::vector{path}) {
    const MappedFile mapped = open_text(file);
    const std::string_view text = mapped.text();
    for (const std::string_view document : cut_into_documents(text))
      documents.push_back({file, static_cast<std::size_t>(document.data() - text.data()), std::string(document)});
  }
  return documents;
}

namespace {

/// Where the last 1/every of a text begins: after the first white space from there on, or at the next character.
std::size_t held_out_begin(std::string_view text, Index every) {
  std::size_t begin = text.size() - text.size() / every;
  const std::size_t space = text.find_first_of(" \n\t", begin);
  if (space != std::string_view::npos) return space + 1;
  while (begin < text.size() && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80)
    ++begin;  // inside a character
  return begin;
}

/// Every document without its end, and the ends.
Corpus hold_out_ends(std::vector<Document> documents, Index every) {
  Corpus corpus;
  for (Document& document : documents) {
    const std::size_t begin = held_out_begin(document.text, every);
    if (begin < document.text.size())
      corpus.held_out.push_back({document.file, document.offset + begin, document.text.substr(begin)});
    document.text.resize(begin);
    corpus.training.push_back(std::move(document));
  }
  require_world(!corpus.held_out.empty(), "training text", "too short to hold one part of ", every,
                " out; add more or longer documents");
  return corpus;
}

}  // namespace

Corpus hold_out(std::vector<Document> documents, Index every) {
  require(every >= 2, "hold_out", "every is ", every, "; at least 2 is needed");
  if (std::ssize(documents) < every) return hold_out_ends(std::move(documents), every);
  Corpus corpus;
  for (std::size_t i = 0; i < documents.size(); ++i)
    (static_cast<Index>(i) % every == every - 1 ? corpus.held_out : corpus.training).push_back(std::move(documents[i]));
  return corpus;
}

std::vector<std::vector<Token>> encode_documents(const Tokenizer& tokenizer, std::span<const Document> documents) {
  std::vector<std::vector<Token>> tokens(documents.size());
  parallel_for(static_cast<Index>(documents.size()),
               [&](Index i) { tokens[i] = tokenizer.encode_ordinary(documents[i].text); });
  return tokens;
}

}  // namespace dsv3
