// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/cli/trained.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// A run of six steps that was interrupted after some of them.
void interrupted_run(const Scratch& scratch) {
  REQUIRE(run(train_arguments(scratch, "run", "6", {"--save-every", "2"})).status == 0);
  std::filesystem::remove_all(scratch / "run" / "checkpoints" / "step_000006");
}

Ended resume(const Scratch& scratch, std::vector<std::string> more, const std::function<void()>& in_child = {}) {
  std::vector<std::string> arguments = resume_arguments(scratch, "run");
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run(arguments, in_child);
}

}  // namespace

TEST_CASE(
    "dsv3 train --resume: an option that the run did not begin with is refused, with both values; nothing changes") {
  const Scratch scratch;
  interrupted_run(scratch);
  put(scratch / "other.txt", small_text(60, 2));
  const std::string text = std::filesystem::path(scratch / "text.txt"), other = scratch / "other.txt";
  const std::string log = get(scratch / "run" / "log.jsonl");
  const auto refused = [&](std::vector<std::string> more, const std::string& what) {
    return not_refused(resume(scratch, std::move(more)), "dsv3 train: " + what);
  };
  CHECK(refused({"--data", other}, "--data is " + other + " but the run began with " + text +
                                       "; a resumed run keeps its settings: leave --data out\n") == "");
  CHECK(refused({"--steps", "60"}, "--steps is 60 but the run began with 6;") == "");
  CHECK(refused({"--seed", "2"}, "--seed is 2 but the run began with 1;") == "");
  CHECK(refused({"--precision", "bf16"}, "--precision is bf16 but the run began with fp32;") == "");
  CHECK(refused({"--config", "tour"}, "--config is tour but the run began with tiny;") == "");
  CHECK(get(scratch / "run" / "log.jsonl") == log);
  CHECK(checkpoints(scratch / "run").size() == 1);
  CHECK(contains(run({"train", "--help"}).out, "only --threads and --json may"));
}

TEST_CASE("dsv3 train --resume: the launcher's DSV3_DATA is no choice of text; the run reads what it began with") {
  const Scratch scratch;
  interrupted_run(scratch);
  const Ended e = resume(scratch, {"--threads", "1", "--data", scratch / "text.txt", "--steps", "6"},
                         [] { ::setenv("DSV3_DATA", "/no/such/text", 1); });
  CHECK(e.status == 0);
  CHECK(e.err == "");
  CHECK(checkpoints(scratch / "run").back().filename() == "step_000006");
}

TEST_CASE("dsv3 train: DSV3_DATA is read where there is no --data, and --data counts where there is") {
  const Scratch scratch;
  put(scratch / "text.txt", small_text());
  const auto begin = [&](const std::string& out, std::vector<std::string> more) {
    more.insert(more.begin(), {"train", "--config", "tiny", "--length", "24", "--steps", "1", "--out", scratch / out});
    return run(more, [&] { ::setenv("DSV3_DATA", (scratch / "text.txt").c_str(), 1); });
  };
  CHECK(begin("installed", {}).status == 0);
  CHECK(contains(begin("given", {"--data", "/no/such/text"}).err, "/no/such/text"));
  CHECK(begin("empty", {"--data", ""}).status == 2);
}

TEST_CASE("dsv3 train --resume: from another folder than the one it began in, with relative paths") {
  const Scratch scratch;
  std::filesystem::create_directory(scratch / "here");
  put(scratch / "here" / "text.txt", small_text());
  const auto begin = [&](const std::string& out, const std::string& config) {
    return run({"train", "--config", config, "--data", "text.txt", "--length", "24", "--sequences", "4", "--steps", "4",
                "--save-every", "2", "--out", out},
               [&] { REQUIRE(::chdir((scratch / "here").c_str()) == 0); });
  };
  REQUIRE(begin("first", "tiny").status == 0);
  std::filesystem::copy_file(checkpoints(scratch / "here" / "first").back() / "config.json",
                             scratch / "here" / "my.json");
  REQUIRE(begin("run", "my.json").status == 0);
  std::filesystem::remove_all(scratch / "here" / "run" / "checkpoints" / "step_000004");
  const Ended e =
      run({"train", "--resume", "--out", "here/run"}, [&] { REQUIRE(::chdir(scratch.folder().c_str()) == 0); });
  CHECK(e.status == 0);
  CHECK(e.err == "");
  CHECK(same_checkpoint(checkpoints(scratch / "here" / "run").back(), checkpoints(scratch / "here" / "first").back()));
}

TEST_CASE("dsv3 train: while one process is at work in a folder a second one is refused and disturbs nothing") {
  const Scratch scratch, second;
  const Program program(scratch, train_arguments(scratch, "run", "60", {"--save-every", "5"}));
  for (int ms = 0; ms < 60'000 && !std::filesystem::exists(scratch / "run" / "checkpoints"); ++ms)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ::kill(program.pid(), SIGSTOP);  // however fast the machine is, it has not ended
  const std::string in_words =
      (scratch / "run").string() + ": another dsv3 is at work there; wait until it ends or give --out another folder\n";
  CHECK(not_refused(run(resume_arguments(scratch, "run")), "dsv3 train: " + in_words) == "");
  CHECK(not_refused(run(train_arguments(scratch, "run", "60")), "dsv3 train: " + in_words) == "");
  ::kill(program.pid(), SIGCONT);
  CHECK(program.wait().status == 0);
  const std::string log = get(scratch / "run" / "log.jsonl");
  CHECK(std::count(log.begin(), log.end(), '\n') == 60);
  CHECK(run(resume_arguments(scratch, "run")).status == 0);  // free again
  CHECK(!std::filesystem::exists(scratch / "run" / "run.lock"));
}
