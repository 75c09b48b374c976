// SPDX-License-Identifier: MIT
#include "reference/training/run.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "reference/training/run_folder.hpp"
#include "tests/checkpoint/scratch.hpp"
#include "tests/training/fixture.hpp"
#include "tests/training/small_text.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// Seven steps of four sequences of 24 tokens; a checkpoint every two steps and at the end.
RunSettings small_run(const Scratch& scratch) {
  if (!std::filesystem::exists(scratch / "text.txt")) put(scratch / "text.txt", small_text());
  return {.config = "tiny",
          .data = scratch / "text.txt",
          .steps = 7,
          .sequences = 4,
          .sequence_length = 24,
          .micro_batch = 3,
          .evaluate_every = 3,
          .save_every = 2};
}

/// What a run leaves that must not depend on when it was interrupted: the checkpoint's files, and the log without
/// times.
std::map<std::string, std::string> traces(const std::filesystem::path& out) {
  std::map<std::string, std::string> all;
  for (const char* const name :
       {"config.json", "model.safetensors", "optimizer.safetensors", "state.json", "tokenizer.json"})
    all[name] = get(newest_checkpoint(out).value() / name);
  const std::filesystem::path amaxes = newest_checkpoint(out).value() / "amax.safetensors";
  if (std::filesystem::exists(amaxes)) all["amax"] = get(amaxes);
  std::istringstream lines(get(out / "log.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    auto json = nlohmann::ordered_json::parse(line);
    json.erase("seconds");
    all["log"] += json.dump() + "\n";
  }
  return all;
}

/// The names of what differs.
std::string differing(const std::map<std::string, std::string>& a, const std::map<std::string, std::string>& b) {
  std::string names;
  for (const auto& [name, text] : a)
    if (text.empty() || !b.contains(name) || b.at(name) != text) names += name + " ";
  return names;
}

struct Interruption {};

/// Events that end the run right after step `last`.
RunEvents ending_after(Index last) {
  return {.note = {}, .stop = {}, .step = [last](const StepReport& r, const StepExtras&) {
            if (r.step == last) throw Interruption{};
          }};
}

}  // namespace

TEST_CASE("run: asked to stop, it saves after the step and goes on from there to the same bits") {
  const Scratch scratch;
  const RunSettings settings = small_run(scratch);
  start_run(settings, scratch / "whole", {});
  Index steps = 0;  // it is asked before the first one, too
  const RunEvents events{.note = {}, .stop = [&] { return steps++ == 3; }, .step = {}};
  CHECK(start_run(settings, scratch / "stopped", events).state.step == 3);
  CHECK(newest_checkpoint(scratch / "stopped")->filename() == "step_000003");
  resume_run(scratch / "stopped", {});
  CHECK(differing(traces(scratch / "whole"), traces(scratch / "stopped")) == "");
}

TEST_CASE("run: stopped after any step and resumed, it ends in the same bits as one that never stopped") {
  const Scratch scratch;
  for (const std::string kind : {"fp32", "bf16", "fp8", "fp8:delayed"}) {
    RunSettings settings = small_run(scratch);
    settings.precision = kind;
    if (kind == "bf16") settings.moments = kind;
    start_run(settings, scratch / (kind + "whole"), {});
    const auto whole = traces(scratch / (kind + "whole"));
    CHECK(std::count(whole.at("log").begin(), whole.at("log").end(), '\n') == 7);
    CHECK(whole.contains("amax") == (kind == "fp8:delayed"));
    for (const Index last : {1, 2, 3, 5, 6}) {  // before the first checkpoint, right after one, between two
      CAPTURE(last);
      const std::filesystem::path out = scratch / concat(kind, last);
      CHECK_THROWS_AS(start_run(settings, out, ending_after(last)), Interruption);
      const RunResult resumed = resume_run(out, {});
      CHECK(resumed.first_step == last / 2 * 2);
      CHECK(differing(whole, traces(out)) == "");
    }
  }
}

TEST_CASE("run: interrupted again and again, it gets there all the same") {
  const Scratch scratch;
  const RunSettings settings = small_run(scratch);
  start_run(settings, scratch / "whole", {});
  CHECK_THROWS_AS(start_run(settings, scratch / "often", ending_after(3)), Interruption);
  for (const Index last : {4, 5, 6}) CHECK_THROWS_AS(resume_run(scratch / "often", ending_after(last)), Interruption);
  resume_run(scratch / "often", {});
  CHECK(differing(traces(scratch / "whole"), traces(scratch / "often")) == "");
}

TEST_CASE("run: the same bits with one thread and with two, from the text to the last checkpoint") {
  const Scratch scratch;
  for (const int count : {1, 2}) {
    const Threads threads(count);
    start_run(small_run(scratch), scratch / std::to_string(count), {});
  }
  CHECK(differing(traces(scratch / "1"), traces(scratch / "2")) == "");
}

TEST_CASE("run: another seed is another run") {
  const Scratch scratch;
  RunSettings settings = small_run(scratch);
  start_run(settings, scratch / "1", {});
  settings.seed = 2;
  start_run(settings, scratch / "2", {});
  CHECK(differing(traces(scratch / "1"), traces(scratch / "2")) == "log model.safetensors optimizer.safetensors ");
}

TEST_CASE("run: a complete run that is resumed changes nothing") {
  const Scratch scratch;
  const RunResult first = start_run(small_run(scratch), scratch / "run", {});
  const auto before = traces(scratch / "run");
  const std::string log = get(scratch / "run" / "log.jsonl"), curves = get(scratch / "run" / "curves.svg");
  const RunResult again = resume_run(scratch / "run", ending_after(8));
  CHECK(again.first_step == 7);
  CHECK(again.loss_after == first.loss_after);
  CHECK(differing(before, traces(scratch / "run")) == "");
  CHECK(get(scratch / "run" / "log.jsonl") == log);
  CHECK(get(scratch / "run" / "curves.svg") == curves);
}

TEST_CASE("run: what it hands back and leaves: losses, evaluations, the two newest checkpoints, its own settings") {
  const Scratch scratch;
  const RunSettings settings = small_run(scratch);
  const RunResult run = start_run(settings, scratch / "run", {});
  CHECK(run.first_step == 0);
  CHECK(run.state.step == 7);
  CHECK(run.loss_before > 5);  // ln 512 = 6.2
  CHECK(run.loss_after < run.loss_before);
  CHECK(read_settings(scratch / "run" / "run.json") == settings);
  std::vector<Index> evaluated;
  const std::vector<LogEntry> log = read_log(scratch / "run" / "log.jsonl");
  for (const LogEntry& e : log)
    if (e.held_out_loss) evaluated.push_back(e.step);
  CHECK(evaluated == std::vector<Index>{3, 6, 7});
  CHECK(log.back().held_out_loss == run.loss_after);
  CHECK(log.back().tokens == 7 * 4 * 24);
  std::set<std::string> checkpoints;
  for (const auto& entry : std::filesystem::directory_iterator(scratch / "run" / "checkpoints"))
    checkpoints.insert(entry.path().filename());
  CHECK(checkpoints == std::set<std::string>{"step_000006", "step_000007"});
  TrainingState read =
      load_training_state(newest_checkpoint(scratch / "run").value(), run.options, run.text.fingerprint());
  CHECK(different(read, run.state) == "");
  CHECK(contains(get(scratch / "run" / "curves.svg"), "held out"));
  CHECK(run.memory.weights > 0);
  CHECK(run.memory.moments == 2 * (run.memory.weights - 2 * 16 * sizeof(real)));  // not of the two biases
}

TEST_CASE("run: a folder that holds a run is refused and left alone") {
  const Scratch scratch;
  start_run(small_run(scratch), scratch / "run", {});
  const auto before = traces(scratch / "run");
  RunSettings other = small_run(scratch);
  other.seed = 9;
  CHECK(contains(thrown([&] { start_run(other, scratch / "run", {}); }),
                 "holds a run already; go on with --resume or choose another folder"));
  CHECK(differing(before, traces(scratch / "run")) == "");
}

TEST_CASE("run: wrong settings are reported before anything is written") {
  const Scratch scratch;
  RunSettings settings = small_run(scratch);
  settings.precision = "fp4";
  CHECK(contains(thrown<std::invalid_argument>([&] { start_run(settings, scratch / "run", {}); }), "precision"));
  settings = small_run(scratch);
  settings.data = scratch / "missing.txt";
  CHECK(contains(thrown([&] { start_run(settings, scratch / "run", {}); }), "missing.txt"));
  settings = small_run(scratch);
  settings.config = "tinny";
  CHECK(contains(thrown<std::invalid_argument>([&] { start_run(settings, scratch / "run", {}); }),
                 "there is no configuration 'tinny'"));
  settings.config = scratch / "config.json";
  CHECK(contains(thrown([&] { start_run(settings, scratch / "run", {}); }), "config.json: cannot be read"));
  settings = small_run(scratch);
  settings.sequence_length = 500;  // more than what is held out
  put(scratch / "short.txt", small_text(22).substr(0, 17000));
  settings.data = scratch / "short.txt";
  CHECK(thrown([&] { start_run(settings, scratch / "run", {}); }) != "nothing thrown");
  CHECK(!std::filesystem::exists(scratch / "run"));
}

TEST_CASE("run: resuming with another text, without a run or with a broken one is refused") {
  const Scratch scratch;
  const RunSettings settings = small_run(scratch);
  CHECK_THROWS_AS(start_run(settings, scratch / "run", ending_after(3)), Interruption);
  put(scratch / "text.txt", small_text(60, 2));
  CHECK(contains(thrown([&] { resume_run(scratch / "run", {}); }), "is not the one the run began with"));
  put(scratch / "text.txt", small_text());
  CHECK(contains(thrown([&] { resume_run(scratch / "nothing", {}); }), "holds no run: there is no run.json"));
  const std::string tokenizer = get(scratch / "run" / "tokenizer.json");
  put(scratch / "run" / "tokenizer.json", "{}");
  CHECK(contains(thrown([&] { resume_run(scratch / "run", {}); }), "tokenizer.json"));
  put(scratch / "run" / "tokenizer.json", tokenizer);
  resume_run(scratch / "run", {});
  CHECK(newest_checkpoint(scratch / "run")->filename() == "step_000007");
}

TEST_CASE("run: a configuration from a config.json trains and goes on like one with a name") {
  const Scratch scratch;
  RunSettings settings = small_run(scratch);
  start_run(settings, scratch / "by name", {});
  std::filesystem::copy_file(newest_checkpoint(scratch / "by name").value() / "config.json", scratch / "my.json");
  settings.config = scratch / "my.json";
  CHECK_THROWS_AS(start_run(settings, scratch / "by file", ending_after(4)), Interruption);
  resume_run(scratch / "by file", {});
  CHECK(differing(traces(scratch / "by name"), traces(scratch / "by file")) == "");
}
