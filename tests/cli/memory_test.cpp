// SPDX-License-Identifier: MIT
#include <cmath>
#include <regex>

#include "tests/cli/trained.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

struct Megabytes {
  double measured = 0, predicted = 0;
};

/// What a whole process that trains two steps says of its memory.
Megabytes memory_of(const Scratch& scratch, std::vector<std::string> arguments) {
  std::filesystem::remove_all(scratch / "run");
  arguments.insert(arguments.begin(), {"train", "--data", scratch / "text.txt", "--steps", "2", "--evaluate-every", "0",
                                       "--out", scratch / "run"});
  const Ended e = run(arguments);
  std::smatch found;
  REQUIRE(std::regex_search(e.out, found, std::regex("memory: ([0-9.]+) MB at most; predicted ([0-9.]+) MB")));
  return {std::stod(found[1]), std::stod(found[2])};
}

std::string outside(const Scratch& scratch, const std::vector<std::string>& arguments) {
  const Megabytes m = memory_of(scratch, arguments);
  if (m.measured > 0 && std::abs(m.measured / m.predicted - 1) < 0.15) return {};  // what issue and README promise
  return concat(m.measured, " MB measured, ", m.predicted, " MB predicted");
}

}  // namespace

TEST_CASE("memory: what a process needs for its steps is within 15% of the prediction, for any number of threads") {
  const Scratch scratch;
  put(scratch / "text.txt", small_text(400));
  for (const char* const config : {"tiny", "tour"})
    for (const char* const threads : {"1", "2", "5", "8"}) {
      CAPTURE(config);
      CAPTURE(threads);
      CHECK(outside(scratch, {"--config", config, "--threads", threads}) == "");
    }
  CHECK(outside(scratch, {"--config", "tour", "--threads", "2", "--precision", "fp8"}) == "");
  CHECK(outside(scratch, {"--config", "small", "--length", "64", "--micro-batch", "2", "--threads", "8"}) == "");
}

TEST_CASE("memory: for small and large micro-batches, short and long sequences, and every format") {
  const Scratch scratch;
  put(scratch / "text.txt", small_text(400));
  const std::vector<std::vector<std::string>> all = {{"--sequences", "1", "--micro-batch", "1", "--length", "16"},
                                                     {"--sequences", "2", "--micro-batch", "1"},
                                                     {"--sequences", "16", "--micro-batch", "16"},
                                                     {"--length", "32"},
                                                     {"--length", "512", "--micro-batch", "2"},
                                                     {"--precision", "bf16"},
                                                     {"--precision", "fp8"},
                                                     {"--precision", "fp8", "--sequences", "16", "--micro-batch", "16"},
                                                     {"--precision", "fp8", "--length", "512", "--micro-batch", "2"},
                                                     {"--moments", "bf16"},
                                                     {"--balance-alpha", "0"},
                                                     {"--balance-scope", "batch"},
                                                     {"--save-every", "1"}};
  for (const std::vector<std::string>& options : all)
    for (const char* const threads : {"1", "8"}) {
      std::vector<std::string> arguments = {"--config", "tiny", "--threads", threads};
      arguments.insert(arguments.end(), options.begin(), options.end());
      CAPTURE(options[0]);
      CAPTURE(threads);
      CHECK(outside(scratch, arguments) == "");
    }
}

TEST_CASE("memory: a run that goes on needs what it needed before; reading its checkpoint does not count") {
  const Scratch scratch;
  put(scratch / "text.txt", small_text(400));
  const std::vector<std::string> small = {"--config", "tiny", "--sequences", "1", "--micro-batch", "1",
                                          "--length", "16",   "--threads",   "2", "--save-every",  "1"};
  memory_of(scratch, small);
  std::filesystem::remove_all(scratch / "run" / "checkpoints" / "step_000002");
  const Ended e = run({"train", "--resume", "--threads", "2", "--out", scratch / "run"});
  std::smatch found;
  REQUIRE(std::regex_search(e.out, found, std::regex("memory: ([0-9.]+) MB at most; predicted ([0-9.]+) MB")));
  CHECK(std::abs(std::stod(found[1]) / std::stod(found[2]) - 1) < 0.15);
}
