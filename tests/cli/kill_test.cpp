// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <csignal>
#include <thread>

#include "reference/core/random.hpp"
#include "tests/cli/trained.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("dsv3 train: killed at random moments and resumed until it is complete, it ends in the same bytes") {
  const Scratch scratch;
  const std::vector<std::string> often = {"--save-every", "1", "--evaluate-every", "0"};  // much of the time is saving
  const auto begin = std::chrono::steady_clock::now();
  REQUIRE(run(train_arguments(scratch, "whole", "25", often)).status == 0);
  const auto whole_run = std::chrono::steady_clock::now() - begin;

  Random random(1);
  Index kills = 0, in_the_middle = 0;
  for (bool complete = false; !complete && kills < 12;) {
    const bool started = std::filesystem::exists(scratch / "run" / "run.json");
    const Program program(scratch,
                          started ? resume_arguments(scratch, "run") : train_arguments(scratch, "run", "25", often));
    const auto moment = whole_run * (0.1 + 0.25 * random.uniform());
    for (const auto end = std::chrono::steady_clock::now() + moment; std::chrono::steady_clock::now() < end;)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ::kill(program.pid(), SIGKILL);
    const Ended e = program.wait();
    complete = e.status == 0;
    CHECK((complete || e.signal == SIGKILL));
    kills += e.signal == SIGKILL;
    const auto there = checkpoints(scratch / "run");
    in_the_middle += !complete && !there.empty();
    for (const auto& checkpoint : there)
      CHECK(std::filesystem::exists(checkpoint / "state.json"));  // complete or not at all
  }
  CHECK(kills >= 1);  // three or more, unless the machine is suddenly much faster
  CHECK(in_the_middle >= 1);
  REQUIRE(run(resume_arguments(scratch, "run")).status == 0);
  CHECK(same_checkpoint(scratch / "whole" / "checkpoints" / "step_000025",
                        scratch / "run" / "checkpoints" / "step_000025"));
  const std::string log = get(scratch / "run" / "log.jsonl");
  CHECK(std::count(log.begin(), log.end(), '\n') == 25);
  // Nothing that a killed save left behind is still there.
  CHECK(checkpoints(scratch / "run").size() == 2);
  for (const auto& entry : std::filesystem::directory_iterator(scratch / "run" / "checkpoints"))
    CHECK(!contains(entry.path().filename(), ".tmp-"));
}
