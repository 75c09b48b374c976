// SPDX-License-Identifier: MIT
#include "reference/checkpoint/mapped_file.hpp"

#include <sys/stat.h>

#include "tests/checkpoint/scratch.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("mapped_file: shows the file's bytes, also after a move") {
  const Scratch scratch;
  put(scratch / "a", std::string("with\0zero", 9));
  put(scratch / "b", "other");
  MappedFile a(scratch / "a"), b(scratch / "b");
  const std::byte* const address = a.bytes().data();
  CHECK(a.text() == std::string("with\0zero", 9));
  MappedFile moved(std::move(a));
  CHECK(moved.bytes().data() == address);
  b = std::move(moved);
  CHECK(b.bytes().data() == address);
  CHECK(b.text() == std::string("with\0zero", 9));
}

TEST_CASE("mapped_file: missing, empty, a directory and a pipe are told apart by name") {
  const Scratch scratch;
  put(scratch / "empty", "");
  REQUIRE(::mkfifo((scratch / "pipe").c_str(), 0600) == 0);
  const auto open = [&](const char* name) { return thrown([&] { MappedFile file(scratch / name); }); };
  CHECK(open("no") == (scratch / "no").string() + ": cannot open: No such file or directory");
  CHECK(open("empty") == (scratch / "empty").string() + ": is empty");
  CHECK(open(".") == (scratch / ".").string() + ": is a directory; a file is needed");
  CHECK(open("pipe") == (scratch / "pipe").string() + ": is not a regular file");
}
