// SPDX-License-Identifier: MIT
#include <algorithm>

#include "tests/cli/trained.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

const std::string golden = std::string(DSV3_SOURCE_DIR) + "/tests/golden/";

/// Refused with exactly this one line, and nothing written beside what is in `scratch`.
std::string not_said(const Scratch& scratch, const std::vector<std::string>& arguments, const std::string& line) {
  const std::size_t before = scratch.entries();
  const Ended e = run(arguments);
  if (scratch.entries() != before) return "something was written";
  if (e.status == 2 && e.out.empty() && e.err == line + "\n") return {};
  return concat("status ", e.status, "\nstdout: ", e.out, "\nstderr: ", e.err);
}

}  // namespace

TEST_CASE("options: a number that cannot be right is named with what it needs, before any work") {
  const Scratch scratch;
  const auto train = [&](const std::string& option, const std::string& value, const std::string& needed) {
    return not_said(scratch, train_arguments(scratch, "run", "3", {option, value}),
                    "dsv3 train: " + option + " is " + value + "; it must be a " + needed);
  };
  put(scratch / "text.txt", small_text());
  const std::string from_0 = "whole number of at least 0", from_1 = "whole number of at least 1";
  for (const char* const wrong : {"-1", "many", "1.5", ""}) {
    CHECK(train("--seed", wrong, from_0) == "");
    CHECK(train("--save-every", wrong, from_0) == "");
  }
  CHECK(train("--seed", "99999999999999999999", from_0 + " and at most 2^64 - 1") == "");
  CHECK(train("--save-every", "99999999999999999999", from_0 + " and at most 2^63 - 1") == "");
  for (const char* const wrong : {"0", "-1", "1025", "x"})
    CHECK(train("--threads", wrong, from_1 + " and at most 1024") == "");
  for (const char* const wrong : {"0", "-1", "nan", "inf", "fast"})
    CHECK(train("--learning-rate", wrong, "finite number above 0") == "");
  for (const char* const wrong : {"-0.1", "nan", "inf"})
    for (const char* const option : {"--bias-speed", "--balance-alpha"})
      CHECK(train(option, wrong, "finite number of at least 0") == "");
  const auto said = [&](const std::vector<std::string>& arguments, const std::string& line) {
    return not_said(scratch, arguments, line);
  };
  CHECK(said({"train", "--steps", "0", "--out", scratch / "run"}, "dsv3 train: --steps is 0; it must be a " + from_1) ==
        "");
  CHECK(said({"tour", "--steps", "-5"}, "dsv3 tour: --steps is -5; it must be a " + from_0) == "");
  CHECK(said({"generate", "--model", "x", "--prompt", "a", "--seed", "-1"},
             "dsv3 generate: --seed is -1; it must be a " + from_0) == "");
  CHECK(said({"bench", "--threads", "0"}, "dsv3 bench: --threads is 0; it must be a " + from_1 + " and at most 1024") ==
        "");
  CHECK(said({"bench", "--rounds", "0"}, "dsv3 bench: --rounds is 0; it must be a " + from_1) == "");
}

TEST_CASE("options: what is no command or option is said with the one that was probably meant") {
  const Scratch scratch;
  const auto said = [&](const std::vector<std::string>& arguments, const std::string& line) {
    return not_said(scratch, arguments, line + (arguments.size() > 1 ? "; --help shows what there is" : ""));
  };
  const std::string there_are = "'; there are tour, train, generate, forward, model, fp8, oracle, bench";
  CHECK(said({"trian"}, "dsv3: there is no command 'trian" + there_are + "; did you mean train?") == "");
  CHECK(said({"genrate"}, "dsv3: there is no command 'genrate" + there_are + "; did you mean generate?") == "");
  CHECK(said({"Tour"}, "dsv3: there is no command 'Tour" + there_are + "; did you mean tour?") == "");
  CHECK(said({"frob"}, "dsv3: there is no command 'frob" + there_are) == "");
  CHECK(said({"train", "--out", "x", "--stepps", "3"},
             "dsv3 train: there is no option --stepps; did you mean --steps?") == "");
  CHECK(said({"train", "--out", "x", "--lenght=9"},
             "dsv3 train: there is no option --lenght=9; did you mean --length?") == "");
  CHECK(said({"train", "--out", "x", "--wibble"}, "dsv3 train: there is no option --wibble") == "");
  CHECK(said({"train", "--out", "x", "more"}, "dsv3 train: 'more' is one argument too many") == "");
  CHECK(said({"train", "--json"}, "dsv3 train: --out is required") == "");
}

TEST_CASE("options: a file where a folder is needed, or none at all, is said in one line before any work") {
  const Scratch scratch;
  put(scratch / "file", "A text.\n");
  std::filesystem::create_directory(scratch / "empty");
  const std::string file = scratch / "file", empty = scratch / "empty", tokens = golden + "tokens.safetensors";
  const std::string model = golden + "hf/v3_mtp";
  const auto said = [&](const std::vector<std::string>& arguments, const std::string& line) {
    return not_said(scratch, arguments, line);
  };
  put(scratch / "text.txt", small_text());
  CHECK(said(train_arguments(scratch, "file", "1"),
             "dsv3 train: " + file + ": is there and is no folder; give --out another name") == "");
  CHECK(said(train_arguments(scratch, "file/run", "1"),
             "dsv3 train: " + file +
                 "/run: cannot be made: Not a directory; a folder that can be written to is needed") == "");
  CHECK(said({"forward", "--model", model, "--tokens", tokens, "--out", empty},
             "dsv3 forward: " + empty + ": is there and is no regular file; another name is needed") == "");
  put(scratch / "file", "A text that is long enough to begin with a number of bytes.\n");
  std::uint64_t claimed = 0;
  std::memcpy(&claimed, get(file).data(), sizeof claimed);
  CHECK(said({"forward", "--model", model, "--tokens", file, "--out", scratch / "out"},
             "dsv3 forward: " + file + ": claims a header of " + std::to_string(claimed) +
                 " bytes; at most 100000000 are read; a "
                 "safetensors file with a tensor 'tokens' of integers [T] is needed") == "");
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"model", file}, {"train", "--config", file, "--data", file, "--out", scratch / "run"}})
    CHECK(said(arguments, "dsv3 " + arguments[0] + ": " + file +
                              ": is no configuration; a config.json or the name of one is needed") == "");
  CHECK(said({"generate", "--model", empty, "--prompt", "a"},
             "dsv3 generate: " + empty +
                 ": holds neither a config.json nor a run's checkpoints; a Hugging Face folder or a run is needed") ==
        "");
  put(scratch / "empty" / "run.json", "{\"config\": tiny");
  CHECK(said({"train", "--resume", "--out", empty},
             "dsv3 train: " + empty + "/run.json: is no JSON; it needs to be what train has written there") == "");
}

TEST_CASE("options: text that is too short says what would do") {
  const Scratch scratch;
  put(scratch / "short.txt", small_text(1));
  const Ended e = run({"train", "--config", "tiny", "--data", scratch / "short.txt", "--out", scratch / "run"});
  CHECK(e.status == 2);
  CHECK(contains(e.err, "dsv3 train: the held-out text has "));
  CHECK(contains(e.err, "a sequence of 128 needs 129: more text or a --length of at most "));
  CHECK(scratch.entries() == 1);
}

TEST_CASE("options: --threads is taken: the bits are the same with any number") {
  const Scratch scratch;
  for (const char* const threads : {"1", "3"})
    REQUIRE(run(train_arguments(scratch, threads, "2", {"--threads", threads})).status == 0);
  CHECK(same_checkpoint(checkpoints(scratch / "1").back(), checkpoints(scratch / "3").back()));
}
