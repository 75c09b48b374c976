// SPDX-License-Identifier: MIT
#include "reference/checkpoint/atomic_file.hpp"

#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/checkpoint/scratch.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {
void write_text(AtomicFile& file, const std::string& text) { file.write(std::as_bytes(std::span(text))); }

/// Both files hold the same number, or a reader would see half of a change.
void write_pair(const std::filesystem::path& path, int number) {
  AtomicDirectory directory(path);
  for (const char* name : {"first", "second"}) write_file(directory.folder() / name, std::to_string(number));
  directory.commit();
}
}  // namespace

TEST_CASE("atomic_file: the name appears with commit, with all bytes, and replaces what was there") {
  const Scratch scratch;
  put(scratch / "f", "old");
  {
    AtomicFile file(scratch / "f");
    write_text(file, "new ");
    write_text(file, "text");
    CHECK(get(scratch / "f") == "old");
    file.commit();
  }
  CHECK(get(scratch / "f") == "new text");
  CHECK(scratch.entries() == 1);
}

TEST_CASE("atomic_file: without commit nothing is left, and the old file stays") {
  const Scratch scratch;
  put(scratch / "f", "old");
  {
    AtomicFile file(scratch / "f");
    write_text(file, "new");
    CHECK(scratch.entries() == 2);
    for (const auto& entry : std::filesystem::directory_iterator(scratch.folder()))
      CHECK(is_temporary(entry.path()) == (entry.path().filename() != "f"));
  }
  CHECK(get(scratch / "f") == "old");
  CHECK(scratch.entries() == 1);
}

TEST_CASE("atomic_file: a full disk is told in the system's words and leaves the old file alone") {
  const Scratch scratch;
  put(scratch / "f", "old");
  struct rlimit before {};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const struct rlimit small { 1000, before.rlim_max };
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const std::string said = thrown([&] {
    AtomicFile file(scratch / "f");
    write_text(file, std::string(2000, 'x'));
    file.commit();
  });
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK(said == (scratch / "f").string() + ": cannot write: File too large");
  CHECK(get(scratch / "f") == "old");
  CHECK(scratch.entries() == 1);
}

TEST_CASE("atomic_file: a missing folder and a name that is a directory are errors without remains") {
  const Scratch scratch;
  CHECK(thrown([&] { AtomicFile file(scratch / "no/f"); }) ==
        (scratch / "no/f").string() + ": cannot create: No such file or directory");
  std::filesystem::create_directory(scratch / "d");
  CHECK(thrown([&] { write_file(scratch / "d", "text"); }) ==
        (scratch / "d").string() + ": is there and is no regular file; another name is needed");
  CHECK(scratch.entries() == 1);
  AtomicFile file(scratch / "f");
  file.commit();
  CHECK_THROWS_AS(file.commit(), std::invalid_argument);
  CHECK_THROWS_AS(write_text(file, "late"), std::invalid_argument);
}

TEST_CASE("atomic_directory: appears whole, is replaced whole, and a dropped one leaves nothing") {
  const Scratch scratch;
  write_pair(scratch / "step", 1);
  CHECK(get(scratch / "step" / "second") == "1");
  put(scratch / "step" / "extra", "of the old one");
  write_pair(scratch / "step", 2);
  CHECK(get(scratch / "step" / "first") == "2");
  CHECK(!std::filesystem::exists(scratch / "step" / "extra"));
  {
    AtomicDirectory dropped(scratch / "step");
    write_file(dropped.folder() / "first", "3");
    CHECK(is_temporary(dropped.folder()));
  }
  CHECK(get(scratch / "step" / "first") == "2");
  CHECK(scratch.entries() == 1);
  put(scratch / "file", "text");
  CHECK(contains(thrown([&] { write_pair(scratch / "file", 4); }), "exists and is not a directory"));
  CHECK(scratch.entries() == 2);
}

TEST_CASE("atomic_directory: kill -9 at any moment leaves a complete old or new folder under the name") {
  const Scratch scratch;
  write_pair(scratch / "step", 0);
  int last = 0;
  for (int trial = 0; trial < 40; ++trial) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      for (int number = last + 1;; ++number) write_pair(scratch / "step", number);
    }
    // Every other child is let live until it has replaced the folder at least once, however slow the disk is.
    const auto replaced = [&] { return get(scratch / "step" / "first") != std::to_string(last); };
    for (int wait = 0; trial % 2 == 0 && !replaced() && wait < 60'000; ++wait) ::usleep(1000);
    ::usleep(static_cast<useconds_t>(173 * trial));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const std::string first = get(scratch / "step" / "first"), second = get(scratch / "step" / "second");
    CAPTURE(trial);
    REQUIRE(first == second);
    REQUIRE(!first.empty());
    if (trial % 2 == 0) REQUIRE(std::stoi(first) > last);
    last = std::stoi(first);
  }
}
