// SPDX-License-Identifier: MIT
#include "reference/data/corpus.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>

using namespace dsv3;

namespace {

namespace fs = std::filesystem;
using Views = std::vector<std::string_view>;

/// A folder that is gone at the end of the test.
struct Folder {
  fs::path path = fs::temp_directory_path() / "dsv3_corpus_test";
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  void write(const fs::path& name, std::string_view text) const {
    fs::create_directories((path / name).parent_path());
    std::ofstream(path / name, std::ios::binary) << text;
  }
};

std::string paragraph(char letter, std::size_t bytes) { return std::string(bytes - 1, letter) + "\n"; }

}  // namespace

TEST_CASE("corpus: a short text is one document without the blank lines around it") {
  CHECK(cut_into_documents("\n \t\na\n\n\nb\n\n") == Views{"a\n\n\nb\n"});
  CHECK(cut_into_documents("a") == Views{"a"});
  CHECK(cut_into_documents(" \n\n").empty());
  CHECK(cut_into_documents("").empty());
}

TEST_CASE("corpus: a long text is cut at two blank lines or more") {
  const std::string a = paragraph('a', 9000), b = paragraph('b', 100), c = paragraph('c', 9000);
  CHECK(cut_into_documents(a + "\n\n" + b + "\n" + c) == Views{a, b + "\n" + c});
  CHECK(cut_into_documents(a + "\r\n \r\n\n" + b + "\n\n\n\n" + c + "\n\n") == Views{a, b, c});
}

TEST_CASE("corpus: a section that is too long is cut at blank lines, its paragraphs together while they fit") {
  const std::string a = paragraph('a', 8000), b = paragraph('b', 8000), c = paragraph('c', 8000);
  CHECK(cut_into_documents(a + "\n" + b + "\n" + c) == Views{a + "\n" + b, c});
  // 16384 is the limit, separators counted
  const std::string d = paragraph('d', 8383), e = paragraph('e', 8384);
  CHECK(cut_into_documents(a + "\n" + d + "\n" + c) == Views{a + "\n" + d, c});
  CHECK(cut_into_documents(a + "\n" + e + "\n" + c) == Views{a, e, c});
}

TEST_CASE("corpus: a paragraph that is too long is cut at line ends, a line never") {
  const std::string a = paragraph('a', 10000), b = paragraph('b', 10000), c = paragraph('c', 40000);
  CHECK(cut_into_documents(a + b + c + a) == Views{a, b, c, a});
}

TEST_CASE("corpus: all text but blank lines is in exactly one document") {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += "line " + std::to_string(i) + std::string(1 + i % 7 / 4 + i % 97 / 94, '\n');
  std::string kept, all;
  for (const std::string_view document : cut_into_documents(text)) {
    CHECK(document.size() <= document_bytes);
    kept += document;
  }
  CHECK(cut_into_documents(text).size() > 30);
  const auto without_line_ends = [](std::string s) {
    std::erase(s, '\n');
    return s;
  };
  CHECK(without_line_ends(kept) == without_line_ends(text));
}

TEST_CASE("corpus: the files of a folder in the order of their paths; what is hidden is left out") {
  const Folder folder;
  folder.write("b.txt", "bee\n");
  folder.write("a/z.txt", "zed\n");
  folder.write("B.txt", "big\n");
  folder.write(".hidden/x.txt", "\xFF");
  folder.write(".x", "\xFF");
  const std::vector<Document> documents = load_documents(folder.path);
  REQUIRE(documents.size() == 3);
  CHECK(documents[0].text == "big\n");
  CHECK(documents[1].text == "zed\n");
  CHECK(documents[2].text == "bee\n");
  CHECK(documents[1].file == folder.path / "a/z.txt");
  CHECK(load_documents(folder.path / "b.txt").size() == 1);
}

TEST_CASE("corpus: a document knows where it stands in its file") {
  const Folder folder;
  const std::string a = paragraph('a', 9000), text = "\n" + a + "\n\n\n" + a;
  folder.write("x.txt", text);
  const std::vector<Document> documents = load_documents(folder.path);
  REQUIRE(documents.size() == 2);
  CHECK(documents[1].offset == 9004);
  CHECK(text.substr(documents[1].offset, documents[1].text.size()) == documents[1].text);
}

TEST_CASE("corpus: what is no text is an error that names the file") {
  const Folder folder;
  const auto refuse = [&](const fs::path& path, const char* words) {
    CHECK_THROWS_WITH_AS(load_documents(path), doctest::Contains(words), std::runtime_error);
    CHECK_THROWS_WITH(load_documents(path), doctest::Contains(path.filename().string().c_str()));
  };
  refuse(folder.path, "holds no file");
  refuse(folder.path / "none.txt", "is not there");
  refuse("/dev/zero", "is not a regular file");
  REQUIRE(::mkfifo((folder.path / "pipe").c_str(), 0600) == 0);
  refuse(folder.path / "pipe", "is not a regular file");
  folder.write("latin1.txt", "caf\xE9 au lait");
  refuse(folder.path / "latin1.txt", "byte 3 is 233, which is not UTF-8");
  folder.write("cut.txt", "ab\xE4\xB8");
  refuse(folder.path / "cut.txt", "byte 2 is 228");
  folder.write("empty.txt", "");
  refuse(folder.path / "empty.txt", "is empty");
  folder.write("blank.txt", " \n\t\n");
  refuse(folder.path / "blank.txt", "is empty");
}

TEST_CASE("corpus: every so manieth document is held out") {
  std::vector<Document> documents;
  for (int i = 0; i < 11; ++i) documents.push_back({"f", 0, std::to_string(i)});
  const Corpus corpus = hold_out(documents, 4);
  REQUIRE(corpus.held_out.size() == 2);
  CHECK(corpus.held_out[0].text == "3");
  CHECK(corpus.held_out[1].text == "7");
  CHECK(corpus.training.size() == 9);
  CHECK(corpus.training[3].text == "4");
  CHECK(hold_out({documents.begin(), documents.begin() + 4}, 4).held_out.size() == 1);
  CHECK_THROWS_AS(hold_out(documents, 1), std::invalid_argument);
}

TEST_CASE("corpus: of few documents the end of each is held out, from a word or at least a whole character on") {
  const std::vector<Document> few = {{"f", 7, "one two three four"}, {"g", 0, "ab\u00e9\u00e9\u00e9"}, {"h", 0, "x"}};
  const Corpus corpus = hold_out(few, 4);  // 18, 8 and 1 bytes: from byte 14, 6 and 1 on
  REQUIRE(corpus.held_out.size() == 2);
  CHECK(corpus.held_out[0].text == "four");
  CHECK(corpus.held_out[1].text == "\u00e9");
  REQUIRE(corpus.training.size() == 3);
  CHECK(corpus.training[0].text == "one two three ");
  CHECK(corpus.training[1].text == "ab\u00e9\u00e9");
  const Corpus inside =
      hold_out({{"f", 0, "x\u00e9\u00e9\u00e9\u00e9"}}, 3);  // byte 6 is the second of the third letter
  REQUIRE(inside.held_out.size() == 1);
  CHECK(inside.held_out[0].text == "\u00e9");
  const Corpus word = hold_out({few[0]}, 2);  // from byte 9, inside "three"
  REQUIRE(word.held_out.size() == 1);
  CHECK(word.held_out[0].text == "four");
  CHECK(word.held_out[0].offset == 7 + 14);
  CHECK_THROWS_WITH_AS(hold_out({few[2]}, 4), doctest::Contains("too short"), std::runtime_error);
}

TEST_CASE("corpus: documents are encoded as ordinary text") {
  const std::vector<Document> documents = {{"f", 0, "one one"}, {"f", 0, std::string(end_token)}, {"f", 0, "two"}};
  const Tokenizer tokenizer = train_tokenizer(std::vector<std::string_view>{"one one two two"}, {.vocab_size = 265});
  const auto tokens = encode_documents(tokenizer, documents);
  REQUIRE(tokens.size() == 3);
  for (int i = 0; i < 3; ++i) CHECK(tokens[i] == tokenizer.encode_ordinary(documents[i].text));
  CHECK(tokens[1].size() > 1);
}
