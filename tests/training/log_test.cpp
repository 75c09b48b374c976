// SPDX-License-Identifier: MIT
#include "reference/training/log.hpp"

#include <nlohmann/json.hpp>

#include "reference/training/curves.hpp"
#include "tests/checkpoint/scratch.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

StepReport report(Index step) {
  StepReport r;
  r.step = step;
  r.tokens = 96 * step;
  r.settings = {.learning_rate = 0.1 + 0.2, .sequences = 3, .bias_speed = 0.01, .mtp_lambda = 0.3};
  r.loss.main_sum = 100.0 / 3 * static_cast<double>(step);
  r.loss.tokens = 32;
  r.loss.mtp_sum = {64, 16};
  r.loss.balance = 1e-5;
  r.loss.load = {{4, 4, 8, 0}, {2, 2, 2, 2}};
  r.gradient_norm = 1.0 / 7;
  return r;
}

std::string line(Index step) {
  return log_line(report(step), {.held_out_loss = {}, .seconds = 0.5, .held_out_before = {}});
}

}  // namespace

TEST_CASE("log: a line is one JSON object with exactly these fields, and numbers come back to the last bit") {
  const std::string text = log_line(report(2), {.held_out_loss = 2.0 / 3, .seconds = 0.25, .held_out_before = 3.5});
  CHECK(!contains(text, "\n"));
  const auto json = nlohmann::ordered_json::parse(text);
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  CHECK(keys == std::vector<std::string>{"step", "tokens", "loss", "mtp_loss", "balance_loss", "gradient_norm",
                                         "learning_rate", "bias_speed", "mtp_lambda", "sequences", "max_vio", "load",
                                         "seconds", "held_out_loss", "held_out_before"});
  CHECK(json["step"] == 2);
  CHECK(json["tokens"] == 192);
  CHECK(json["loss"].get<double>() == 100.0 / 3 * 2 / 32);
  CHECK(json["mtp_loss"] == nlohmann::json({2.0, 0.5}));  // divided by the 32 tokens of the main loss, Eq. (24)
  CHECK(json["learning_rate"].get<double>() == 0.1 + 0.2);
  CHECK(json["gradient_norm"].get<double>() == 1.0 / 7);
  CHECK(json["max_vio"].get<double>() == 0.5);  // 1 in the first layer, 0 in the second
  CHECK(json["load"] == nlohmann::json({{4, 4, 8, 0}, {2, 2, 2, 2}}));
  CHECK(json["held_out_loss"].get<double>() == 2.0 / 3);
  CHECK(json["held_out_before"] == 3.5);
  for (const char* const name : {"held_out_loss", "held_out_before"})
    CHECK(!nlohmann::json::parse(line(1)).contains(name));
}

TEST_CASE("log: what was written is read; a last line that was cut off does not count") {
  const Scratch scratch;
  const std::filesystem::path path = scratch / "log.jsonl";
  const std::string last = log_line(report(2), {.held_out_loss = 1.5, .seconds = 1, .held_out_before = {}});
  put(path, line(1) + "\n" + last + "\n" + line(3).substr(0, 40));
  const std::vector<LogEntry> log = read_log(path.string());
  REQUIRE(log.size() == 2);
  CHECK(log[0].step == 1);
  CHECK(!log[0].held_out_loss);
  CHECK(log[1].tokens == 192);
  CHECK(log[1].held_out_loss == 1.5);
  CHECK(log[1].mtp_loss == std::vector<double>{2, 0.5});
  CHECK(log[1].load == report(2).loss.load);
  put(path, line(1) + "\n" + line(2));  // whole but without its end: the next line would be glued to it
  CHECK(read_log(path.string()).size() == 1);
  put(path, "");
  CHECK(read_log(path.string()).empty());
}

TEST_CASE("log: a line that is none is named by file and number") {
  const Scratch scratch;
  const std::filesystem::path path = scratch / "log.jsonl";
  for (const char* const wrong : {"{}", "[]", "nonsense", "{\"step\": 1", "{\"step\":\"x\"}", ""}) {
    CAPTURE(wrong);
    put(path, line(1) + "\n" + wrong + "\n" + line(3) + "\n");
    CHECK(contains(thrown([&] { read_log(path.string()); }), path.string() + ": line 2 is not a line of this log"));
  }
  for (const std::string part : {"[4,4,8,0]", "[2.0,0.5]", ",[2,2,2,2]"}) {
    std::string other = line(2);
    REQUIRE(contains(other, part));
    other.replace(other.find(part), part.size(), part[0] == ',' ? "" : "[4]");
    put(path, line(1) + "\n" + other + "\n");
    CHECK(contains(thrown([&] { read_log(path.string()); }),
                   "line 2 has other layers, experts or MTP modules than line 1"));
  }
  CHECK(thrown([&] { read_log((scratch / "none").string()); }) == (scratch / "none").string() + ": cannot be read");
}

TEST_CASE("log: truncating keeps the lines of the steps up to a checkpoint, byte for byte") {
  const Scratch scratch;
  const std::filesystem::path path = scratch / "log.jsonl";
  const std::string three = line(1) + "\n" + line(2) + "\n" + line(3) + "\n";
  put(path, three + line(4).substr(0, 10));
  truncate_log(path.string(), 2);
  CHECK(get(path) == line(1) + "\n" + line(2) + "\n");
  put(path, three);
  truncate_log(path.string(), 3);
  CHECK(get(path) == three);
  truncate_log(path.string(), 0);
  CHECK(get(path) == "");
  truncate_log((scratch / "new").string(), 0);
  CHECK(get(scratch / "new") == "");
  CHECK(scratch.entries() == 2);
}

TEST_CASE("log: one that lacks or repeats a step of the checkpoint is refused and left as it is") {
  const Scratch scratch;
  const std::filesystem::path path = scratch / "log.jsonl";
  const auto refused = [&](const std::string& text) {
    put(path, text);
    const std::string said = thrown([&] { truncate_log(path.string(), 3); });
    CHECK(get(path) == text);
    return said;
  };
  CHECK(contains(refused(line(1) + "\n" + line(2) + "\n"), "ends with step 2; the newest checkpoint is of step 3"));
  CHECK(contains(refused(line(1) + "\n" + line(2) + "\n" + line(3)), "ends with step 2"));  // the last one is cut off
  CHECK(contains(refused(line(1) + "\n" + line(3) + "\n"), "line 2 is of step 3; it must be of step 2"));
  CHECK(contains(refused(line(1) + "\n" + line(2) + "\n" + line(2) + "\n" + line(3) + "\n"), "line 3 is of step 2"));
  CHECK(contains(refused(""), "ends with step 0"));
}

TEST_CASE("log: a file that is opened again goes on at its end; one that cannot be written to says so") {
  const Scratch scratch;
  const std::filesystem::path path = scratch / "log.jsonl";
  for (const Index step : {1, 2}) {
    LogFile log(path);
    log.add(line(step));
    log.sync();
  }
  CHECK(get(path) == line(1) + "\n" + line(2) + "\n");
  CHECK(contains(thrown([&] { LogFile(scratch / "none" / "log.jsonl"); }), "cannot be opened: No such file"));
  LogFile full("/dev/full");
  CHECK(contains(thrown([&] { full.add("x"); }), "/dev/full: cannot write: No space left on device"));
}

TEST_CASE("curves: training, MTP and held-out loss, and the load of the last MoE layer of the main model") {
  const Scratch scratch;
  put(scratch / "log",
      line(1) + "\n" + log_line(report(2), {.held_out_loss = 1.5, .seconds = 1, .held_out_before = {}}) + "\n");
  std::vector<LogEntry> log = read_log((scratch / "log").string());
  const std::string svg = curves_svg(log, 1);
  for (const char* const part : {"<svg", ">training<", ">MTP module 1<", ">held out<", ">expert<", "</svg>"})
    CHECK(contains(svg, part));
  CHECK(!contains(svg, "nan"));
  const plot::HeatMap map = load_map(log, 1, "t");  // loads 4, 4, 8, 0 of mean 4, in both steps
  CHECK(map.rows == std::vector<std::vector<double>>{{1, 1}, {1, 1}, {2, 2}, {0, 0}});
  CHECK(load_map(log, 0, "t").rows == std::vector<std::vector<double>>(4, {1, 1}));  // of the second layer
  CHECK(!contains(curves_svg(log, 2), ">expert<"));                                  // both layers are MTP modules
  CHECK_THROWS_AS(load_map(log, 2, "t"), std::invalid_argument);
  log[0].load.clear(), log[1].load.clear();
  CHECK(!contains(curves_svg(log, 0), ">expert<"));  // a dense model
  CHECK_THROWS_AS(curves_svg({}, 0), std::invalid_argument);
}

TEST_CASE("curves: the held-out loss begins before the first step, at 0 tokens, with a dot at each look") {
  std::vector<LogEntry> log(2);
  log[0].tokens = 4000, log[0].held_out_before = 6.5;
  log[1].tokens = 8000, log[1].held_out_loss = 5.5;
  const plot::Line line = loss_chart(log).lines.back();
  CHECK(line.name == "held out");
  CHECK(line.x == std::vector<double>{0, 8});
  CHECK(line.y == std::vector<double>{6.5, 5.5});
  CHECK(line.marked);
}

TEST_CASE("curves: a long run is drawn as means over stretches; every step counts once") {
  std::vector<LogEntry> log;
  for (Index i = 1; i <= 241; ++i)
    log.push_back({.step = i,
                   .tokens = 1000 * i,
                   .loss = static_cast<double>(i % 2),
                   .mtp_loss = {},
                   .held_out_loss = {},
                   .held_out_before = {},
                   .load = {{i, 0}}});
  const plot::LineChart chart = loss_chart(log);
  REQUIRE(chart.lines.size() == 1);  // no MTP, nothing held out
  const plot::Line& line = chart.lines[0];
  REQUIRE(line.x.size() == 120);
  CHECK(line.x.back() == 241);
  CHECK(line.y[0] == 0.5);                         // of steps 1 and 2
  CHECK(line.y[119] == doctest::Approx(2.0 / 3));  // of steps 239, 240, 241
  CHECK(load_map(log, 0, "").rows[0].size() == 60);
}
