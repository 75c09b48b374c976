// SPDX-License-Identifier: MIT
#include <nlohmann/json.hpp>

#include "reference/data/tokenizer_json.hpp"
#include "tests/cli/trained.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// A run of a few steps, made once: a model that knows next to nothing, with fewer tokens than its vocabulary has room
/// for.
const Scratch& trained() {
  static const Scratch scratch;
  static const bool done = [] {
    put(scratch / "text.txt", small_text(30));
    return run(train_arguments(scratch, "run", "2")).status == 0;
  }();
  REQUIRE(done);
  return scratch;
}

std::vector<std::string> arguments(std::vector<std::string> more) {
  more.insert(more.begin(), {"generate", "--model", trained() / "run"});
  return more;
}

}  // namespace

TEST_CASE("dsv3 generate: the prompt, then the text; the same seed writes the same, another one not") {
  const auto text = [](const char* seed) {
    return run(arguments({"--prompt", "the river", "--max-new", "30", "--seed", seed}));
  };
  const Ended e = text("3");
  CHECK(e.status == 0);
  CHECK(e.err == "");
  CHECK(e.out.starts_with("the river"));
  CHECK(e.out.ends_with("\n"));
  CHECK(text("3").out == e.out);
  CHECK(text("4").out != e.out);
}

TEST_CASE("dsv3 generate: only tokens that the tokenizer has, however little the model has learnt") {
  const Index known = load_tokenizer(trained() / "run" / "tokenizer.json").vocab_size();
  REQUIRE(known < 512);  // else nothing is tested
  const Ended e = run(arguments({"--prompt", "a", "--max-new", "200", "--temperature", "3", "--json"}));
  CHECK(e.status == 0);
  const auto json = nlohmann::json::parse(e.out);
  for (const Index token : json.at("tokens")) CHECK(token < known);
}

TEST_CASE("dsv3 generate --json: valid whatever bytes the model writes; the tokens are those of the text") {
  const Ended e = run(arguments({"--prompt", "the river", "--max-new", "60", "--temperature", "2", "--json"}));
  CHECK(e.status == 0);
  const auto json = nlohmann::json::parse(e.out);
  CHECK(json.at("tokens").size() <= 60);
  CHECK(json.at("tokens").size() > 10);
  CHECK(!json.at("text").get<std::string>().empty());
  CHECK(
      load_tokenizer(trained() / "run" / "tokenizer.json").decode(json.at("prompt_tokens").get<std::vector<Token>>()) ==
      "the river");
}

TEST_CASE("dsv3 generate: a run, its newest checkpoint and its folder are one model") {
  const std::vector<std::string> rest = {"--prompt", "king", "--max-new", "20"};
  const Ended of_run = run(arguments(rest));
  std::vector<std::string> of_checkpoint = {"generate", "--model", checkpoints(trained() / "run").back()};
  of_checkpoint.insert(of_checkpoint.end(), rest.begin(), rest.end());
  CHECK(of_run.status == 0);
  CHECK(run(of_checkpoint).out == of_run.out);
}

TEST_CASE("dsv3 generate: a prompt of any bytes is taken and written as it is") {
  const std::string prompt = "\xff\xfe caf\xe9";
  const Ended e = run(arguments({"--prompt", prompt, "--max-new", "3"}));
  CHECK(e.status == 0);
  CHECK(e.out.starts_with(prompt));
  const std::string json = run(arguments({"--prompt", prompt, "--max-new", "3", "--json"})).out;
  CHECK(nlohmann::json::parse(json).at("tokens").size() <= 3);
}

TEST_CASE("dsv3 generate: what cannot be done is named, with nothing on stdout") {
  const auto refused = [](std::vector<std::string> more, const std::string& part) {
    return not_refused(run(arguments(std::move(more))), part);
  };
  CHECK(refused({"--prompt", ""}, "the prompt is empty; it needs at least one character") == "");
  CHECK(refused({"--prompt", "a", "--temperature", "-1"},
                "--temperature is -1; it must be a finite number of at least 0") == "");
  CHECK(refused({"--prompt", "a", "--temperature", "nan"}, "--temperature is nan") == "");
  CHECK(refused({"--prompt", "a", "--max-new", "-1"},
                "dsv3 generate: --max-new is -1; it must be a whole number of at least 0\n") == "");
  CHECK(refused({"--prompt", small_text(20)}, "it must be at most the 512 positions of the model") == "");
  CHECK(refused({"--prompt", "a", "--seed", "-4"}, "--seed") == "");
  CHECK(refused({}, "--prompt") == "");
  CHECK(not_refused(run({"generate", "--model", "/no/such/folder", "--prompt", "a"}),
                    "/no/such/folder: holds neither") == "");
  CHECK(not_refused(run({"generate", "--model", std::string(DSV3_SOURCE_DIR) + "/tests/golden/hf/v2", "--prompt", "a"}),
                    "tokenizer.json") == "");
}

TEST_CASE("dsv3 generate: where the context is full it says so on stderr, and how many tokens there are") {
  const Ended e = run(arguments({"--prompt", "a", "--max-new", "512", "--temperature", "0", "--json"}));
  CHECK(e.status == 0);
  const auto json = nlohmann::json::parse(e.out);
  const std::size_t prompt = json.at("prompt_tokens").size(), written = json.at("tokens").size();
  REQUIRE(prompt + written == 512);  // the most probable token of this model never ends the text
  CHECK(e.err == concat("the context of 512 tokens is full after ", written, " new ones\n"));
  CHECK(run(arguments({"--prompt", "a", "--max-new", "5", "--temperature", "0"})).err == "");
}

TEST_CASE("dsv3 generate: where the model ends the text it says so on stderr") {
  bool ended = false;
  for (int seed = 1; seed <= 20 && !ended; ++seed) {  // one of about 300 tokens: nearly always within 500
    const Ended e = run(arguments(
        {"--prompt", "a", "--max-new", "500", "--temperature", "9", "--json", "--seed", std::to_string(seed)}));
    const auto tokens = nlohmann::json::parse(e.out).at("tokens");
    ended = tokens.size() < 500;
    CHECK(e.err == (ended ? concat("the model ended the text after ", tokens.size(), " tokens\n") : ""));
  }
  CHECK(ended);
}

TEST_CASE("dsv3 generate: a checkpoint's config.json has the tokens that begin and end a text") {
  const auto config = nlohmann::json::parse(get(checkpoints(trained() / "run").back() / "config.json"));
  const Tokenizer tokenizer = load_tokenizer(trained() / "run" / "tokenizer.json");
  CHECK(config.at("bos_token_id") == tokenizer.added(begin_token));
  CHECK(config.at("eos_token_id") == tokenizer.added(end_token));
}

TEST_CASE("dsv3 generate: what cannot be written is an error") {
  const Scratch scratch;
  for (const char* const form : {"--json", "--temperature=0"}) {
    const Ended e = Program(scratch, arguments({"--prompt", "a", "--max-new", "20", form}), [] {
                      Program::redirect("/dev/full", STDOUT_FILENO);
                    }).wait();
    CHECK(e.status == 2);
    CHECK(e.err.find("stdout: cannot be written: No space left on device") != std::string::npos);
  }
}
