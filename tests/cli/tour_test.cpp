// SPDX-License-Identifier: MIT
#include <chrono>
#include <csignal>
#include <thread>

#include "tests/cli/trained.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

std::vector<std::string> tour_arguments(const Scratch& scratch, const std::string& steps) {
  if (!std::filesystem::exists(scratch / "text.txt")) put(scratch / "text.txt", small_text(120));
  return {"tour", "--data", scratch / "text.txt", "--out", scratch / "tour", "--steps", steps};
}

/// The signal that arrives once the file is there ends the tour so.
Ended interrupted(const Scratch& scratch, const std::string& steps, const std::filesystem::path& file) {
  const Program program(scratch, tour_arguments(scratch, steps));
  for (int ms = 0; ms < 60'000 && get(file).empty(); ++ms) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ::kill(program.pid(), SIGINT);
  return program.wait();
}

}  // namespace

TEST_CASE("dsv3 tour: the table with what its words mean, a picture, and an old tour is replaced") {
  const Scratch scratch;
  for (int round = 0; round < 2; ++round) {
    const Ended e = run(tour_arguments(scratch, "16"));
    CHECK(e.status == 0);
    CHECK(e.err == "");
    CHECK(!contains(e.out, "[FAILED]"));
    for (const char* const part :
         {"loss on held-out text", "nats per token", "peak memory of a step", ", predicted ",
          "(0: all experts are equally busy)", "steps 2 to 2 of both runs", "FP8 loss against BF16's",
          "for 4 steps from the same weights", "mean over the last 2 steps", "(greedy), on held-out"})
      CHECK(contains(e.out, part));
    CHECK(contains(get(scratch / "tour" / "tour.svg"), ">load / mean load<"));
    CHECK(std::filesystem::exists(scratch / "tour" / "without_bias" / "log.jsonl"));
  }
}

TEST_CASE("dsv3 tour --out: a folder that is no tour's, or holds anything else, survives with all that is in it") {
  const Scratch scratch;
  const auto refused = [&](const std::string& what) {
    return not_refused(run(tour_arguments(scratch, "16")), "dsv3 tour: " + what);
  };
  const std::filesystem::path out = scratch / "tour", mine = out / "thesis.tex";
  std::filesystem::create_directory(out);
  put(mine, "mine");
  CHECK(refused(out.string() + ": is not empty and not the folder of a tour; nothing was changed there") == "");
  CHECK(get(mine) == "mine");
  std::filesystem::remove_all(out);
  REQUIRE(run(train_arguments(scratch, "tour", "1")).status == 0);
  CHECK(refused(out.string() + ": is not empty and not the folder of a tour") == "");  // a run of train
  CHECK(checkpoints(out).size() == 1);
  std::filesystem::remove_all(out);
  REQUIRE(run(tour_arguments(scratch, "16")).status == 0);
  for (const char* const place : {"thesis.tex", "checkpoints/thesis.tex", "without_bias/thesis.tex"}) {
    CAPTURE(place);
    put(out / place, "mine");
    CHECK(refused((out / place).string() + ": is not of the tour in this folder; nothing was changed there") == "");
    CHECK(get(out / place) == "mine");
    CHECK(std::filesystem::exists(out / "checkpoints" / "step_000016"));
    std::filesystem::remove(out / place);
  }
  put(scratch / "text.txt", "");
  CHECK(not_refused(run(tour_arguments(scratch, "16")), "text.txt") == "");
  CHECK(checkpoints(out).size() == 1);  // text that cannot be used costs no old tour
}

TEST_CASE("dsv3 tour: Ctrl-C saves what there is, says how to go on, and ends as the shell expects") {
  const Scratch scratch;
  const std::filesystem::path out = scratch / "tour";
  const Ended first = interrupted(scratch, "200", out / "log.jsonl");
  CHECK(first.status == 130);
  CHECK(first.signal == 0);
  CHECK(contains(first.err, " of 200; go on without the tour's table: dsv3 train --resume --out " + out.string()));
  REQUIRE(checkpoints(out).size() == 1);
  const Ended again = interrupted(scratch, "40", out / "without_bias" / "log.jsonl");  // a new tour may take its place
  CHECK(again.status == 130);
  CHECK(contains(again.err, "stopped; the trained model is kept: dsv3 generate --model " + out.string()));
  CHECK(checkpoints(out).back().filename() == "step_000040");
}

TEST_CASE("dsv3 tour: Ctrl-C before the first step says that there is nothing to go on with") {
  const Scratch scratch;
  const Ended e = interrupted(scratch, "200", scratch / "tour" / "tour.txt");
  CHECK(e.status == 130);
  CHECK((contains(e.err, "stopped before the first step") || contains(e.err, "saved after step 1 ")));
}
