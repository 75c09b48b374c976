// SPDX-License-Identifier: MIT
#include <sys/ioctl.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include <sys/resource.h>

#include "tests/cli/trained.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// What stderr shows of a program whose stderr is a terminal.
std::string on_a_terminal(std::vector<std::string> arguments) {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  REQUIRE(master >= 0);
  REQUIRE(::grantpt(master) == 0);
  REQUIRE(::unlockpt(master) == 0);
  const std::string name = ::ptsname(master);
  const int keep_open = ::open(name.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
  std::string seen;
  const Scratch scratch;
  const Program program(scratch, std::move(arguments), [&] { Program::redirect(name, STDERR_FILENO); });
  std::thread reader([&] {
    char buffer[4096];
    for (ssize_t n; (n = ::read(master, buffer, sizeof buffer)) > 0;) {
      seen.append(buffer, static_cast<std::size_t>(n));
      if (contains(seen, "the end")) break;
    }
  });
  CHECK(program.wait().status == 0);
  CHECK(::write(keep_open, "the end", 7) == 7);
  reader.join();
  ::close(keep_open), ::close(master);
  return seen;
}

}  // namespace

TEST_CASE("dsv3 train: what it tells, and nothing of a progress bar in a pipe; on a terminal there is one") {
  const Scratch scratch;
  const Ended e = run(train_arguments(scratch, "run", "3"));
  CHECK(e.status == 0);
  CHECK(e.err == "");
  CHECK(!has_progress(e.out));
  for (const char* const part :
       {"training a tokenizer of 512 tokens", "held-out loss ", "after 3 steps", "memory: ", "dsv3 generate --model "})
    CHECK(contains(e.out, part));
  const Ended again = run(resume_arguments(scratch, "run"));
  CHECK(again.status == 0);
  CHECK(contains(again.out, "is complete: 3 steps"));
  const std::string seen = on_a_terminal(train_arguments(scratch, "seen", "3"));
  CHECK(has_progress(seen));
  CHECK(contains(seen, "3/3"));
  CHECK(contains(seen, "tok/s"));
}

TEST_CASE("dsv3 train --json: the lines of the log and nothing else") {
  const Scratch scratch;
  const Ended e = run(train_arguments(scratch, "run", "3", {"--json"}));
  CHECK(e.status == 0);
  CHECK(e.err == "");
  CHECK(e.out == get(scratch / "run" / "log.jsonl"));
  std::istringstream lines(e.out);
  Index step = 0;
  for (std::string line; std::getline(lines, line);) CHECK(nlohmann::json::parse(line).at("step") == ++step);
  CHECK(step == 3);
}

TEST_CASE("dsv3 train: wrong use is named, ends with 2 and leaves no run behind") {
  const Scratch scratch;
  const auto refused = [&](std::vector<std::string> more, const std::string& part) {
    const std::string bad = not_refused(run(train_arguments(scratch, "run", "3", std::move(more))), part);
    CHECK(!std::filesystem::exists(scratch / "run" / "run.json"));
    return bad;
  };
  CHECK(refused({"--precision", "fp4"}, "precision is 'fp4'; it must be fp32 or bf16 or fp8") == "");
  CHECK(refused({"--evaluate-every", "-1"}, "--evaluate-every is -1; it must be a whole number of at least 0") == "");
  CHECK(refused({"--learning-rate", "nan"}, "--learning-rate is nan; it must be a finite number above 0") == "");
  CHECK(refused({"--bias-speed", "-0.1"}, "--bias-speed is -0.1; it must be a finite number of at least 0") == "");
  CHECK(refused({"--resume"}, "holds no run: there is no run.json") == "");
  CHECK(not_refused(run({"train", "--config", "tiny", "--out", scratch / "run"}), "--data is missing") == "");
  CHECK(not_refused(run({"train", "--data", scratch / "text.txt"}), "--out") == "");
  CHECK(not_refused(run(resume_arguments(scratch, "nothing")), "holds no run: there is no run.json") == "");
  CHECK(not_refused(run({"train", "--config", "tiny", "--data", scratch / "missing", "--out", scratch / "run"}),
                    "missing") == "");
}

TEST_CASE("dsv3 train: text that is not UTF-8, empty or too short is named by its file") {
  const Scratch scratch;
  const auto refused = [&](const std::string& name, const std::string& text, const std::string& part) {
    put(scratch / name, text);
    const Ended e =
        run({"train", "--config", "tiny", "--data", scratch / name, "--steps", "2", "--out", scratch / "run"});
    CHECK(!std::filesystem::exists(scratch / "run" / "run.json"));
    CHECK(e.status == 2);
    CHECK(contains(e.err, part));
    return e.err;
  };
  std::string latin = small_text();
  latin[1234] = '\xe9';
  CHECK(contains(refused("latin.txt", latin, "latin.txt"), "1234"));
  refused("empty.txt", "", "empty.txt");
  refused("blank.txt", "\n \n", "");
  refused("short.txt", "A few words.\n", "");
}

TEST_CASE("dsv3 train: a folder that holds a run or that cannot be made is refused") {
  const Scratch scratch;
  CHECK(run(train_arguments(scratch, "run", "1")).status == 0);
  const std::string log = get(scratch / "run" / "log.jsonl");
  CHECK(not_refused(run(train_arguments(scratch, "run", "2")),
                    "holds a run already; go on with --resume or choose another folder") == "");
  CHECK(get(scratch / "run" / "log.jsonl") == log);
  put(scratch / "file", "");
  const Ended e = run(train_arguments(scratch, "file/run", "1"));
  CHECK(e.status == 2);
  CHECK(contains(e.err, "file/run"));
}

TEST_CASE(
    "dsv3 train: a disk that is full while saving: a clear message, the older checkpoint whole, and it can go on") {
  const Scratch scratch;
  CHECK(run(train_arguments(scratch, "whole", "6", {"--save-every", "2"})).status == 0);
  // No file may become longer than 400 kB: the weights are longer. As on a full disk, a write fails.
  const auto full = [] {
    const rlimit limit{400'000, 400'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  };
  const Ended first = run(train_arguments(scratch, "run", "6", {"--save-every", "2"}), full);
  CHECK(first.status == 2);
  CHECK(first.signal == 0);
  CHECK(contains(first.err, "model.safetensors: cannot write: File too large"));
  CHECK(checkpoints(scratch / "run").empty());
  CHECK(std::filesystem::is_empty(scratch / "run" / "checkpoints"));  // nothing half-written

  std::filesystem::remove_all(scratch / "run");
  CHECK(run(train_arguments(scratch, "run", "6", {"--save-every", "2"})).status == 0);
  std::filesystem::remove_all(scratch / "run" / "checkpoints" /
                              "step_000006");  // as if it had been killed after step 4
  const Ended second = run(resume_arguments(scratch, "run"), full);
  CHECK(second.status == 2);
  CHECK(contains(second.err, "File too large"));
  REQUIRE(checkpoints(scratch / "run").size() == 1);
  CHECK(run(resume_arguments(scratch, "run")).status == 0);
  CHECK(same_checkpoint(checkpoints(scratch / "run").back(), scratch / "whole" / "checkpoints" / "step_000006"));
}

TEST_CASE(
    "dsv3 train: Ctrl-C ends it after the step at hand, saved, with the shell's status for it; it goes on from there") {
  const Scratch scratch;
  const auto arguments = [&](const std::string& out) {
    return train_arguments(scratch, out, "60", {"--save-every", "0"});
  };
  const Program program(scratch, arguments("run"));
  for (int ms = 0; ms < 60'000 && get(scratch / "run" / "log.jsonl").empty(); ++ms)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ::kill(program.pid(), SIGINT);
  const Ended e = program.wait();
  CHECK(e.status == 128 + SIGINT);
  CHECK(contains(e.err, "go on with: dsv3 train --resume --out "));
  REQUIRE(checkpoints(scratch / "run").size() == 1);
  CHECK(run(resume_arguments(scratch, "run")).status == 0);
  CHECK(run(arguments("whole")).status == 0);
  CHECK(same_checkpoint(checkpoints(scratch / "run").back(), checkpoints(scratch / "whole").back()));
}

TEST_CASE("dsv3 train: a micro-batch that memory does not hold is said so, and leaves no run behind") {
  const Scratch scratch;
  put(scratch / "text.txt", small_text(30));
  const auto refused = [&](const char* sequences, const std::function<void()>& limit) {
    const std::vector<std::string> arguments = {
        "train",    "--config", "tiny",         "--data",  scratch / "text.txt", "--steps", "2",
        "--length", "24",       "--sequences",  sequences, "--micro-batch",      sequences, "--threads",
        "1",        "--out",    scratch / "run"};
    const Ended e = Program(scratch, arguments, limit).wait();
    CHECK(e.status == 2);
    CHECK(e.err.find("ower micro_batch") != std::string::npos);
    CHECK(!std::filesystem::exists(scratch / "run"));
  };
  refused("1000000000", [] {});  // more than any machine has
  refused("200000", [] {         // more than this process may have
    const rlimit bytes{1u << 30, 1u << 30};
    ::setrlimit(RLIMIT_AS, &bytes);
  });
}
