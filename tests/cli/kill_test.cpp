// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <csignal>
#include <thread>

#include "reference/core/random.hpp"
#include "tests/cli/trained.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// Waits until the log has so many lines; a minute at most.
void wait_for_steps(const std::string& log, Index steps) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (std::chrono::steady_clock::now() < end) {
    const std::string lines = std::filesystem::exists(log) ? get(log) : "";
    if (std::count(lines.begin(), lines.end(), '\n') >= steps) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace

TEST_CASE("dsv3 train: killed at random moments and resumed until it is complete, it ends in the same bytes") {
  const Scratch scratch;
  const std::vector<std::string> often = {"--save-every", "1", "--evaluate-every", "0"};  // much of the time is saving
  REQUIRE(run(train_arguments(scratch, "whole", "25", often)).status == 0);

  Random random(1);
  for (const Index target : {0, 1, 4, 8, 13, 19}) {  // steps in the log, then some milliseconds more
    const bool started = std::filesystem::exists(scratch / "run" / "run.json");
    const Program program(scratch,
                          started ? resume_arguments(scratch, "run") : train_arguments(scratch, "run", "25", often));
    wait_for_steps(scratch / "run" / "log.jsonl", target);
    std::this_thread::sleep_for(std::chrono::microseconds(random.below(20000)));
    ::kill(program.pid(), SIGKILL);
    CHECK(program.wait().signal == SIGKILL);
    const auto there = checkpoints(scratch / "run");
    CHECK(std::ssize(there) >= std::min<Index>(target - 1, 2));  // a step is logged before it is saved
    for (const auto& checkpoint : there)
      CHECK(std::filesystem::exists(checkpoint / "state.json"));  // complete or not at all
  }
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
