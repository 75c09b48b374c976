// SPDX-License-Identifier: MIT
#include <nlohmann/json.hpp>

#include "tests/cli/program.hpp"

using namespace dsv3::test;

namespace {

const std::vector<std::string> commands = {"tour", "train", "generate", "forward", "model", "fp8", "oracle", "bench"};

std::string golden(const std::string& name) { return std::string(DSV3_SOURCE_DIR) + "/tests/golden/hf/" + name; }

}  // namespace

TEST_CASE(
    "dsv3: without arguments, with an unknown command or option it ends with 2 and says on stderr what is wrong") {
  CHECK(not_refused(run({}), "dsv3: A subcommand is required") == "");
  CHECK(not_refused(run({"nonsense"}),
                    "dsv3: there is no command 'nonsense'; there are tour, train, generate, forward, model, fp8, "
                    "oracle, bench\n") == "");
  CHECK(not_refused(run({"--nonsense"}), "dsv3: there is no option --nonsense\n") == "");
  CHECK(not_refused(run({""}), "there is no command ''") == "");
  for (const std::string& c : commands) CHECK(not_refused(run({c, "--nonsense"}), "dsv3 " + c + ": ") == "");
  CHECK(not_refused(run({"model", "v3", "v2"}), "v2") == "");
  CHECK(not_refused(run({"train", "--steps", "many", "--out", "x"}), "--steps") == "");
  for (const char* const c : {"train", "tour"})
    CHECK(not_refused(run({c, "--out", "x", "--data", "x", "--seed", "-1"}), "--seed") == "");
}

TEST_CASE(
    "dsv3: --help ends with 0, names every command, and shows for each an example that begins with dsv3 and its name") {
  const Ended all = run({"--help"});
  CHECK(all.status == 0);
  CHECK(all.err == "");
  for (const std::string& c : commands) {
    CAPTURE(c);
    CHECK(contains(all.out, "  " + c + " "));
    const Ended help = run({c, "--help"});
    CHECK(help.status == 0);
    CHECK(help.err == "");
    CHECK(contains(help.out, "Example:\n  dsv3 " + c));
  }
  CHECK(run({"--version"}).status == 0);
  CHECK(!run({"--version"}).out.empty());
}

TEST_CASE("dsv3 model: the counts of the report, as text and as JSON") {
  const Ended text = run({"model", "v3"});
  CHECK(text.status == 0);
  for (const char* const number : {"671,026,419,200", "36,625,618,432", "11,610,068,224", "70,272"})
    CHECK(contains(text.out, number));
  const auto json = nlohmann::json::parse(run({"model", "v3", "--json"}).out);
  CHECK(json.at("total") == 671'026'419'200);
  CHECK(json.at("active") == 36'625'618'432);
  CHECK(json.at("cache_bytes_per_token") == 70'272);
  const Ended names = run({"model", "--json"});
  CHECK(nlohmann::json::parse(names.out) == nlohmann::json({"v3", "v2", "v2-lite", "tiny", "tour", "small"}));
}

TEST_CASE("dsv3 model: a folder and its config.json are the same; what is no configuration is named") {
  const auto counts = [](const std::string& name) {
    const Ended e = run({"model", name, "--json"});
    CHECK(e.status == 0);
    auto json = nlohmann::json::parse(e.out);
    json.erase("name");
    return json;
  };
  CHECK(counts(golden("v2")) == counts(golden("v2/config.json")));
  CHECK(counts(golden("v2")) != counts(golden("v3_mtp")));
  CHECK(not_refused(run({"model", "v4"}), "there is no configuration 'v4'; there are v3, ") == "");
  CHECK(not_refused(run({"model", "/no/such/config.json"}), "/no/such/config.json: ") == "");
  const Scratch scratch;
  CHECK(not_refused(run({"model", scratch.folder()}), "config.json") == "");
  std::string text = get(golden("v3_yarn/config.json"));
  text.replace(text.find("\"n_group\": 4"), 12, "\"n_group\": 3");
  put(scratch / "config.json", text);
  CHECK(not_refused(run({"model", scratch.folder()}), "n_group") == "");
  put(scratch / "config.json", "{\"model_type\": ");
  CHECK(not_refused(run({"model", scratch / "config.json"}), "config.json") == "");
}

TEST_CASE("dsv3: output that cannot be written is an error, not a success") {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"model"}, {"model", "v3", "--json"}}) {
    const Ended e = run(arguments, [] { Program::redirect("/dev/full", STDOUT_FILENO); });
    CHECK(e.status == 2);
    CHECK(contains(e.err, "stdout: cannot be written: No space left on device"));
  }
}
