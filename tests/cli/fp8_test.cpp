// SPDX-License-Identifier: MIT
#include <chrono>
#include <cmath>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/cli/trained.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

std::vector<std::string> arguments(const Scratch& scratch, std::vector<std::string> more) {
  put(scratch / "text.txt", small_text());
  more.insert(more.begin(),
              {"fp8", "--data", scratch / "text.txt", "--config", "tiny", "--threads", "1", "--out", scratch / "out"});
  return more;
}

}  // namespace

TEST_CASE("dsv3 fp8: losses of every seed and step, the errors they give, and a picture") {
  const Scratch scratch;
  const Ended e = run(arguments(scratch, {"--steps", "4", "--seeds", "2", "--variants", "fp8", "hybrid", "--json"}));
  REQUIRE(e.err == "");
  CHECK(e.status == 0);
  const auto json = nlohmann::json::parse(e.out);
  CHECK(json == nlohmann::json::parse(get(scratch / "out" / "fp8.json")));
  REQUIRE(json.at("variants").size() == 3);
  CHECK(json["variants"][0]["name"] == "bf16");
  CHECK(json["variants"][0]["relative_error"] == 0);
  CHECK(json["spread_of_seeds"] > 0);
  for (const auto& variant : json["variants"]) {
    REQUIRE(variant["loss"].size() == 2);
    CHECK(variant["loss"][0].size() == 4);
    CHECK(variant["loss"][0] != variant["loss"][1]);
    CHECK(variant["least"] <= variant["relative_error"]);
    CHECK(variant["relative_error"] <= variant["most"]);
    CHECK(variant["most"] < 0.1);
  }
  CHECK(json["variants"][1]["loss"] != json["variants"][2]["loss"]);
  CHECK(get(scratch / "out" / "fp8.svg").starts_with("<svg"));
}

TEST_CASE("dsv3 fp8: a table for people; what cannot be is refused before any work") {
  const Scratch scratch;
  const Ended e = run(arguments(scratch, {"--steps", "2", "--seeds", "1", "--variants", "fp8"}));
  CHECK(e.status == 0);
  CHECK(contains(e.out, "relative loss error against BF16"));
  CHECK(!contains(e.out, "two seeds in BF16"));
  CHECK(not_refused(run(arguments(scratch, {"--variants", "fp9"})),
                    "there is no variant 'fp9'; it must be one of fp32, fp8, ") == "");
  CHECK(not_refused(run({"fp8", "--config", "tinny", "--data", scratch / "text.txt", "--out", scratch / "none"}),
                    "there is no configuration 'tinny'") == "");
  CHECK(not_refused(run({"fp8", "--config", "tiny", "--out", scratch / "none"}), "--data is missing") == "");
  CHECK(!std::filesystem::exists(scratch / "none"));
}

TEST_CASE("dsv3 fp8 depth: one-signed sums lose with K on Hopper without promotion, all else stays small; a picture") {
  const Scratch scratch;
  const Ended e = run({"fp8", "depth", "--outputs", "16", "--out", scratch / "out", "--json"});
  REQUIRE(e.err == "");
  CHECK(e.status == 0);
  const auto json = nlohmann::json::parse(e.out);
  CHECK(json == nlohmann::json::parse(get(scratch / "out" / "depth.json")));
  REQUIRE(json.at("data").size() == 2);
  const auto rms = [&](int data, const std::string& sum, Index K) {
    for (const auto& error : json["data"][data]["errors"])
      if (error["sum"] == sum && error["K"] == K) return error["rms"].get<double>();
    return std::nan("");
  };
  // the fact sheet's 7.44% and 25.1% of another seed, with 256 sums, not 2304
  CHECK(std::abs(rms(0, "hopper_fp8_wgmma", 4096) - 0.0744) < 0.01);
  CHECK(std::abs(rms(0, "hopper_fp8_wgmma", 16384) - 0.251) < 0.03);
  CHECK(std::abs(rms(1, "hopper_fp8_wgmma", 4096) - 0.00139) < 0.0003);
  for (const Index K : {128, 1024, 16384}) {
    CHECK(rms(0, "hopper_fp8_wgmma, promoted", K) < 0.0008);
    CHECK(rms(1, "hopper_fp8_wgmma, promoted", K) < 0.0002);
    CHECK(rms(0, "fp32", K) < 1e-5);
    CHECK(rms(0, "blackwell_fp8, promoted", K) < 1e-6);
  }
  CHECK(get(scratch / "out" / "depth.svg").starts_with("<svg"));
  const Ended table = run({"fp8", "depth", "--outputs", "4", "--out", scratch / "out"});
  CHECK(contains(table.out, "\n  ada_fp8, promoted "));
  CHECK(contains(table.out, "     16384\n"));
  CHECK(contains(table.out, "the report: nearly 2% at K = 4096"));
  put(scratch / "file", "");
  CHECK(not_refused(run({"fp8", "depth", "--outputs", "4", "--out", scratch / "file"}),
                    "dsv3 fp8: " + (scratch / "file").string() + ": ") == "");
  CHECK(not_refused(run({"fp8", "depth", "--outptus", "4"}),
                    "dsv3 fp8: there is no option --outptus; did you mean --outputs?") == "");
  CHECK(not_refused(run({"fp8", "depth", "more"}), "dsv3 fp8: 'more' is one argument too many") == "");
  CHECK(contains(run({"fp8", "depth", "--help"}).out, "Example:\n  dsv3 fp8 depth"));
}

TEST_CASE("dsv3 fp8 --resume: what is finished is kept, not run again, and parts give the bytes of the whole") {
  const Scratch scratch, whole;
  const std::vector<std::string> settings = {"--steps", "3"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), settings.begin(), settings.end());
    return more;
  };
  REQUIRE(run(arguments(whole, with({"--seeds", "2", "--variants", "hybrid", "fp8"}))).status == 0);
  REQUIRE(run(arguments(scratch, with({"--seeds", "1", "--variants", "hybrid"}))).status == 0);
  const std::string first = get(scratch / "out" / "fp8.json");
  const auto resume = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"fp8", "--resume", "--out", scratch / "out"});
    return run(more);
  };
  std::filesystem::remove(scratch / "out" / "fp8.svg");
  const Ended same = resume({"--seeds", "1", "--variants", "hybrid"});
  CHECK(same.status == 0);
  CHECK(same.err == "");
  CHECK(get(scratch / "out" / "fp8.json") == first);
  CHECK(get(scratch / "out" / "fp8.svg").starts_with("<svg"));
  CHECK(resume({"--seeds", "2", "--variants", "fp8", "--steps", "3"}).status == 0);
  CHECK(resume({"--seed", "2", "--seeds", "1", "--variants", "hybrid"}).status == 0);
  for (const char* const name : {"fp8.json", "fp8.svg"})
    CHECK(get(scratch / "out" / name) == get(whole / "out" / name));

  // a curve that is there is believed, so it was not run again; one that broke off is said to have done so
  auto json = nlohmann::json::parse(first);
  json["variants"][0]["loss"][0] = {5, 4, 3};
  json["variants"][1]["loss"][0] = {5, nullptr, nullptr};
  put(scratch / "out" / "fp8.json", json.dump());
  const Ended kept = resume({"--seeds", "1", "--variants", "hybrid"});
  CHECK(contains(kept.out, "loss in BF16: 5.000 at first, 4.710 at last (94%); mean of 1 seed\n"));
  CHECK(contains(kept.out, "  hybrid           broke off in 1 of 1 seeds"));
}

TEST_CASE("dsv3 fp8: seeds lie apart as far as their curves do, the mean over all pairs") {
  const Scratch scratch;
  REQUIRE(run(arguments(scratch, {"--steps", "3", "--seeds", "3", "--variants", "fp8"})).status == 0);
  auto json = nlohmann::json::parse(get(scratch / "out" / "fp8.json"));
  json["variants"][0]["loss"] = {{5, 5, 5}, {4, 4, 4}, {2, 2, 2}};  // 1/5, 3/5 and 2/4 of the earlier seed's
  put(scratch / "out" / "fp8.json", json.dump());
  const auto again = [&] { return run({"fp8", "--resume", "--out", scratch / "out", "--variants", "fp8"}); };
  CHECK(contains(again().out, "two seeds in BF16, measured alike: 43.333%\n"));
  json["variants"][0]["loss"][2] = {5, nullptr, nullptr};
  put(scratch / "out" / "fp8.json", json.dump());
  CHECK(!contains(again().out, "two seeds in BF16"));
}

TEST_CASE(
    "dsv3 fp8 --resume: other settings, another text and what is no comparison are refused, and nothing changes") {
  const Scratch scratch;
  const auto refused = [&](std::vector<std::string> more, const std::string& what) {
    more.insert(more.begin(), {"fp8", "--resume", "--out", scratch / "out"});
    return not_refused(run(more), "dsv3 fp8: " + what);
  };
  CHECK(refused({}, (scratch / "out" / "fp8.json").string() +
                        ": is not there: nothing has been finished; start without --resume\n") == "");
  CHECK(!std::filesystem::exists(scratch / "out"));
  REQUIRE(run(arguments(scratch, {"--steps", "2", "--seeds", "1", "--variants", "fp8"})).status == 0);
  const std::string before = get(scratch / "out" / "fp8.json");
  CHECK(refused({"--steps", "4"}, "--steps is 4 but the run began with 2;") == "");
  CHECK(refused({"--config", "tour"}, "--config is tour but the run began with tiny;") == "");
  CHECK(refused({"--variants", "fp9"}, "there is no variant 'fp9'") == "");
  put(scratch / "text.txt", small_text(60, 2));
  CHECK(refused({"--seeds", "2"}, (scratch / "text.txt").string() + ": is not the text that the runs in ") == "");
  CHECK(get(scratch / "out" / "fp8.json") == before);
  for (const auto& [part, other] : std::vector<std::pair<std::string, std::string>>{
           {"\"fp8\"", "\"fp9\""}, {"\"seeds\"", "\"sets\""}, {"{", "["}}) {
    std::string text = before;
    text.replace(text.find(part), part.size(), other);
    put(scratch / "out" / "fp8.json", text);
    CHECK(refused({}, (scratch / "out" / "fp8.json").string() + ": is not what dsv3 fp8 has written there (") == "");
  }
  auto longer = nlohmann::json::parse(before);
  longer["variants"][1]["loss"][0].push_back(3.0);
  put(scratch / "out" / "fp8.json", longer.dump());
  CHECK(refused({}, (scratch / "out" / "fp8.json").string() + ": is not what dsv3 fp8 has written there (a curve") ==
        "");
}

TEST_CASE(
    "dsv3 fp8: Ctrl-C keeps the runs that are finished, and --resume ends in the bytes of an experiment without") {
  const Scratch scratch, whole;
  const auto of_seeds = [](const char* seeds) {
    return std::vector<std::string>{"--steps", "25", "--seeds", seeds, "--variants", "fp8"};
  };
  REQUIRE(run(arguments(whole, of_seeds("2"))).status == 0);
  const Program program(scratch, arguments(scratch, of_seeds("99")));  // not done before it is stopped
  const std::filesystem::path results = scratch / "out" / "fp8.json";
  const auto both_are_there = [&] { return std::filesystem::exists(results) && contains(get(results), "\"fp8\""); };
  for (int ms = 0; ms < 60'000 && !both_are_there(); ++ms) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ::kill(program.pid(), SIGINT);
  const Ended e = program.wait();
  CHECK(e.status == 128 + SIGINT);
  CHECK(e.out == "");
  CHECK(e.err.starts_with("stopped; "));
  CHECK(contains(e.err, " of 198 runs are finished and kept in "));
  const auto json = nlohmann::json::parse(get(results));
  CHECK(json.at("variants")[0].at("seeds") == nlohmann::json({1}));  // all variants of a seed before the next
  CHECK(!std::filesystem::exists(scratch / "out" / "run.lock"));
  REQUIRE(run({"fp8", "--resume", "--seeds", "2", "--variants", "fp8", "--out", scratch / "out"}).status == 0);
  CHECK(get(scratch / "out" / "fp8.json") == get(whole / "out" / "fp8.json"));
}

TEST_CASE("dsv3 fp8 gradients: a row for BF16 and each recipe; BF16 is nearest to FP32 by far") {
  const Scratch scratch;
  put(scratch / "text.txt", small_text());
  const auto arguments = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"fp8", "gradients", "--data", scratch / "text.txt", "--threads", "1"});
    return more;
  };
  const Ended e = run(arguments({"--steps", "8", "--batches", "2", "--json"}));
  REQUIRE(e.err == "");
  const auto rows = nlohmann::json::parse(e.out).at("gradients");
  REQUIRE(rows.size() == 9);
  for (const auto& row : rows) {
    CHECK(row.at("least") <= row.at("error"));
    CHECK(row.at("error") <= row.at("most"));
    CHECK((row["name"] == "bf16" || row["error"] > 2 * rows[0]["error"].get<double>()));
  }
  CHECK(contains(run(arguments({"--steps", "2", "--batches", "1"})).out, "\n  delayed "));
  CHECK(not_refused(run(arguments({"--batches", "0"})), "--batches is 0") == "");
  CHECK(not_refused(run(arguments({"--config", "v3"})), "dsv3 fp8: weights, gradients and moments need 10") ==
        "");  // terabytes
}

TEST_CASE("dsv3 fp8: a model that memory cannot hold is refused before any work, as train does") {
  const Scratch scratch;
  put(scratch / "text.txt", small_text());
  CHECK(not_refused(run({"fp8", "--config", "v3", "--data", scratch / "text.txt", "--out", scratch / "out"}),
                    "dsv3 fp8: weights, gradients and moments need 8") == "");  // 8 terabytes
  CHECK(!std::filesystem::exists(scratch / "out"));
}

TEST_CASE("dsv3 fp8 --resume: a damaged fp8.json is refused, whatever is wrong in it, and left as it is") {
  const Scratch scratch;
  REQUIRE(run(arguments(scratch, {"--steps", "2", "--seeds", "1", "--variants", "fp8"})).status == 0);
  const std::filesystem::path path = scratch / "out" / "fp8.json";
  const auto sound = nlohmann::ordered_json::parse(get(path));
  const auto refused = [&](const std::function<void(nlohmann::ordered_json&)>& damage) {
    nlohmann::ordered_json json = sound;
    damage(json);
    put(path, json.dump());
    const std::string problem =
        not_refused(run({"fp8", "--resume", "--seeds", "1", "--variants", "fp8", "--out", scratch / "out"}),
                    "is not what dsv3 fp8 has written there");
    return problem + (get(path) == json.dump() ? "" : "it was changed");
  };
  using Json = nlohmann::ordered_json;
  CHECK(refused([](Json& j) { j["variants"][0]["seeds"] = {-1.7}; }) == "");
  CHECK(refused([](Json& j) {
          j["variants"][0]["seeds"] = {1, 1}, j["variants"][0]["loss"].push_back(j["variants"][0]["loss"][0]);
        }) == "");
  CHECK(refused([](Json& j) { j["variants"].push_back(j["variants"][1]); }) == "");
  CHECK(refused([](Json& j) { j["variants"][0]["loss"].push_back({1, 2}); }) == "");
  CHECK(refused([](Json& j) { j["variants"][0]["loss"][0] = {-1, -2}; }) == "");
  CHECK(refused([](Json& j) { j["variants"][0]["loss"][0] = {nullptr, 2}; }) == "");
  CHECK(refused([](Json& j) { j["variants"][0]["loss"][0] = {{"a", 1}, {"b", 2}}; }) == "");
  CHECK(refused([](Json& j) { j["variants"].erase(0); }) == "");
  CHECK(refused([](Json& j) { j["text"] = -5; }) == "");
  CHECK(refused([](Json& j) { j["variants"][1]["name"] = "fp9"; }) == "");
}

TEST_CASE("dsv3 fp8: seeds that run out, and more than anyone can wait for, are refused before any work") {
  const Scratch scratch;
  CHECK(not_refused(run(arguments(scratch, {"--seed", "18446744073709551615", "--seeds", "1"})), "--seed is ") == "");
  CHECK(not_refused(run(arguments(scratch, {"--seeds", "9223372036854775807"})), "at most 1024") == "");
  CHECK(!std::filesystem::exists(scratch / "out"));
}

TEST_CASE("dsv3 fp8: runs that diverge end there, and the others go on") {
  const Scratch scratch;
  const Ended e = run(arguments(scratch, {"--steps", "30", "--sequences", "1", "--seeds", "1", "--variants", "fp8",
                                          "hybrid", "--learning-rate", "1e4", "--json"}));
  CHECK(e.status == 0);
  const auto json = nlohmann::json::parse(e.out);
  REQUIRE(json.at("variants").size() == 3);
  CHECK(json["variants"][0]["loss"][0].back().is_null());
}
