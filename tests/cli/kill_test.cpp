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

constexpr Index steps = 14;

bool has_ended(pid_t pid) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

void sleep_ms(double milliseconds) {
  std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(milliseconds));
}

Index lines_of(const std::filesystem::path& path) {
  const std::string text = get(path);
  return std::count(text.begin(), text.end(), '\n');
}

/// Some part of a step after `out` has logged `line` lines, kills the program; so the moment does not depend on how
/// fast the machine is.
Ended killed_after(const Program& program, const std::filesystem::path& out, Index line, Random& random) {
  while (!has_ended(program.pid()) && lines_of(out / "log.jsonl") < line) sleep_ms(0.5);
  sleep_ms(15 * random.uniform());  // a step and its checkpoint take about as long
  ::kill(program.pid(), SIGKILL);
  return program.wait();
}

}  // namespace

TEST_CASE("dsv3 train: killed again and again, at any moment, and resumed, it ends in the same bytes") {
  const Scratch scratch;
  const std::filesystem::path out = scratch / "run";
  const std::vector<std::string> often = {"--save-every", "1", "--evaluate-every", "0"};  // much of the time is saving
  const std::string last = "step_000014";
  REQUIRE(run(train_arguments(scratch, "whole", std::to_string(steps), often)).status == 0);

  Random random(1);
  Index kills = 0, with_checkpoint = 0;
  for (Ended e; e.status != 0 && kills < 100;) {
    const bool started = std::filesystem::exists(out / "run.json");
    const Index done = checkpoints(out).empty() ? 0 : std::stol(checkpoints(out).back().filename().string().substr(5));
    const Program program(scratch, started ? resume_arguments(scratch, "run")
                                           : train_arguments(scratch, "run", std::to_string(steps), often));
    // The first two before or at the first step, the others two to four steps on; a run that is near its end gets
    // there.
    e = killed_after(program, out, kills < 2 ? 0 : done + 2 + random.below(3), random);
    CHECK((e.status == 0 || e.signal == SIGKILL));
    kills += e.signal == SIGKILL;
    for (const auto& checkpoint : checkpoints(out))
      CHECK(std::filesystem::exists(checkpoint / "state.json"));  // all of it or nothing
    with_checkpoint += e.signal == SIGKILL && !checkpoints(out).empty();
  }
  CHECK(kills >= 4);
  CHECK(with_checkpoint >= 2);
  REQUIRE(run(resume_arguments(scratch, "run")).status == 0);
  CHECK(same_checkpoint(scratch / "whole" / "checkpoints" / last, out / "checkpoints" / last));
  CHECK(lines_of(out / "log.jsonl") == steps);
  // Nothing that a killed save has left behind is still there.
  for (const auto& entry : std::filesystem::directory_iterator(out / "checkpoints"))
    CHECK(!contains(entry.path().filename(), ".tmp-"));
}
