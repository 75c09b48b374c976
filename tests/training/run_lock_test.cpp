// SPDX-License-Identifier: MIT
#include "reference/training/run_lock.hpp"

#include <sys/wait.h>
#include <csignal>
#include <memory>

#include "tests/checkpoint/scratch.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("run lock: a folder is held once, also within one process; then it is free again") {
  const Scratch scratch;
  auto first = std::make_unique<RunLock>(scratch.folder());
  CHECK(contains(thrown([&] { RunLock(scratch.folder()); }), "another dsv3 is at work there"));
  first.reset();
  CHECK(scratch.entries() == 0);
  RunLock again(scratch.folder());
  CHECK(again.folder() == scratch.folder());
}

TEST_CASE("run lock: a process that was killed holds nothing, and the file it left is no hindrance") {
  const Scratch scratch;
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const RunLock lock(scratch.folder());
    if (::write(ready[1], "x", 1) == 1) ::pause();
    ::_exit(1);
  }
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  CHECK(contains(thrown([&] { RunLock(scratch.folder()); }), "another dsv3 is at work there"));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK(scratch.entries() == 1);
  { const RunLock lock(scratch.folder()); }
  CHECK(scratch.entries() == 0);
  ::close(ready[0]), ::close(ready[1]);
}

TEST_CASE("run lock: folders it made are removed where nothing was put there, others stay") {
  const Scratch scratch;
  {
    const RunLock lock(scratch / "a" / "b");
    CHECK(std::filesystem::is_directory(scratch / "a" / "b"));
  }
  CHECK(scratch.entries() == 0);
  {
    const RunLock lock(scratch / "a" / "b" / "");
    put(scratch / "a" / "file", "x");
  }
  CHECK(!std::filesystem::exists(scratch / "a" / "b"));
  CHECK(get(scratch / "a" / "file") == "x");
  std::filesystem::create_directory(scratch / "empty");
  { const RunLock lock(scratch / "empty"); }
  CHECK(std::filesystem::is_directory(scratch / "empty"));
}

TEST_CASE("run lock: what is no folder and where none can be made is said") {
  const Scratch scratch;
  put(scratch / "file", "");
  CHECK(thrown([&] { RunLock(scratch / "file"); }) ==
        (scratch / "file").string() + ": is there and is no folder; give --out another name");
  CHECK(contains(thrown([&] { RunLock(scratch / "file" / "run"); }), "cannot be made: Not a directory"));
  CHECK(contains(thrown([&] { RunLock("/proc/run"); }), "/proc/run: cannot be made: "));
  CHECK(contains(thrown<std::invalid_argument>([&] { RunLock(""); }), "--out is empty"));
}
