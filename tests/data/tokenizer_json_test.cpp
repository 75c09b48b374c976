// SPDX-License-Identifier: MIT
#include "reference/data/tokenizer_json.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "reference/data/byte_level.hpp"

using namespace dsv3;

namespace {

using Json = nlohmann::json;

/// A tokenizer.json with the bytes, "ab", "abc" and their merges, and one special token.
Json small() {
  const auto byte_level =
      Json{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
  Json vocab = Json::object();
  for (const unsigned char byte : bytes_by_letter())
    vocab.emplace(spell(std::string(1, static_cast<char>(byte))), vocab.size());
  vocab.emplace("ab", 256);
  vocab.emplace("abc", 257);
  const Json model = {{"type", "BPE"},
                      {"dropout", nullptr},
                      {"unk_token", nullptr},
                      {"continuing_subword_prefix", nullptr},
                      {"end_of_word_suffix", nullptr},
                      {"fuse_unk", false},
                      {"byte_fallback", false},
                      {"vocab", vocab},
                      {"merges", {"a b", "ab c"}}};
  const Json split = {
      {"type", "Split"}, {"pattern", {{"Regex", "\\p{N}"}}}, {"behavior", "Isolated"}, {"invert", false}};
  const Json end = {{"id", 258},       {"content", "<end>"},  {"single_word", false}, {"lstrip", false},
                    {"rstrip", false}, {"normalized", false}, {"special", true}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", Json::array({end})},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {split, byte_level}}}},
          {"post_processor", nullptr},
          {"decoder", byte_level},
          {"model", model}};
}

/// `small()` with the value at a JSON pointer replaced.
Json with(const char* pointer, const Json& value) {
  Json json = small();
  json[Json::json_pointer(pointer)] = value;
  return json;
}

std::vector<Token> encode(const Json& json, std::string_view text) {
  return parse_tokenizer_json(json.dump()).encode(text);
}

using Tokens = std::vector<Token>;

}  // namespace

TEST_CASE("tokenizer.json: tokens as the tokenizers library gives them") {
  const std::filesystem::path folder = std::filesystem::path(DSV3_SOURCE_DIR) / "tests/golden/tokenizer";
  for (const char* name : {"deepseek_v3", "llama3_ignore_merges", "gpt2_digits"}) {
    CAPTURE(name);
    std::ifstream in(folder / (std::string(name) + ".json"));
    const Json golden = Json::parse(in);
    const Tokenizer tokenizer = parse_tokenizer_json(golden.at("tokenizer").dump());
    const Tokenizer again = parse_tokenizer_json(tokenizer_json(tokenizer));
    CHECK(again.data() == tokenizer.data());
    REQUIRE(golden.at("cases").size() > 200);
    for (const Json& one : golden.at("cases")) {
      const auto text = one.at("text").get<std::string>();
      CAPTURE(text);
      CHECK(tokenizer.encode(text) == one.at("tokens").get<Tokens>());
      CHECK(tokenizer.decode(tokenizer.encode(text)) == text);
    }
    const auto training_text = golden.at("training_text").get<std::string>();
    if (training_text.empty()) continue;
    const Tokenizer trained =
        train_tokenizer(std::vector<std::string_view>{training_text}, {.vocab_size = tokenizer.vocab_size()});
    CHECK(trained.data() == tokenizer.data());  // the same merges as the library's trainer learnt
  }
}

TEST_CASE("tokenizer.json: merges as pairs and as text with a space") {
  CHECK(encode(small(), "abc1ab<end>") == Tokens{257, '1' - '!', 256, 258});
  const Json pairs = Json::array({Json::array({"a", "b"}), Json::array({"ab", "c"})});
  CHECK(encode(with("/model/merges", pairs), "abc1ab<end>") == encode(small(), "abc1ab<end>"));
}

TEST_CASE("tokenizer.json: String patterns, Digits, ByteLevel alone") {
  CHECK(encode(with("/pre_tokenizer/pretokenizers/0/pattern", {{"String", "b"}}), "abc") ==
        Tokens{'a' - '!', 'b' - '!', 'c' - '!'});
  CHECK(encode(with("/pre_tokenizer/pretokenizers/0", {{"type", "Digits"}, {"individual_digits", true}}), "abc1") ==
        Tokens{257, '1' - '!'});
  for (const auto& [individual, pattern] : {std::pair{true, "\\p{N}"}, {false, "\\p{N}+"}}) {
    const Json digits = {{"type", "Digits"}, {"individual_digits", individual}};
    const Tokenizer tokenizer = parse_tokenizer_json(with("/pre_tokenizer/pretokenizers/0", digits).dump());
    CHECK(tokenizer.data().splits == std::vector<SplitRule>{{pattern}});
  }
  Json alone = with("/pre_tokenizer", small()["decoder"]);
  CHECK(parse_tokenizer_json(alone.dump()).data().splits.empty());
  alone["pre_tokenizer"].erase("use_regex");  // the library's default is true
  CHECK(parse_tokenizer_json(alone.dump()).data().splits == std::vector{gpt2_split()});
}

TEST_CASE("tokenizer.json: what would change the tokens is refused by name") {
  const Json template_processing = {{"type", "TemplateProcessing"}};
  const std::tuple<const char*, Json, const char*> refused[] = {
      {"/version", "2.0", "version '2.0'"},
      {"/truncation", Json::object(), "'truncation' is not supported"},
      {"/padding", Json::object(), "'padding' is not supported"},
      {"/surprise", 1, "'surprise' is not known"},
      {"/normalizer", {{"type", "NFC"}}, "type 'NFC' is not supported"},
      {"/normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}}}}, "'Sequence' is not supported"},
      {"/post_processor", template_processing, "type 'TemplateProcessing' is not supported"},
      {"/post_processor", {{"type", "Sequence"}, {"processors", {template_processing}}}, "'TemplateProcessing'"},
      {"/decoder", {{"type", "WordPiece"}}, "decoder 'WordPiece'"},
      {"/decoder", nullptr, "'type' is missing"},
      {"/pre_tokenizer", nullptr, "ByteLevel is needed"},
      {"/pre_tokenizer", {{"type", "Whitespace"}}, "type 'Whitespace' is not supported"},
      {"/pre_tokenizer/pretokenizers", Json::array(), "does not end in ByteLevel"},
      {"/pre_tokenizer/pretokenizers/0/behavior", "Removed", "behavior 'Removed'"},
      {"/pre_tokenizer/pretokenizers/0/invert", true, "'invert' true"},
      {"/pre_tokenizer/pretokenizers/0/pattern", {{"Regex", "\\w"}}, "'\\w' is not supported"},
      {"/pre_tokenizer/pretokenizers/0/pattern", {{"Regex", ""}}, "the pattern is empty"},
      {"/pre_tokenizer/pretokenizers/0/pattern", {{"Glob", "*"}}, "'Glob' is not known"},
      {"/pre_tokenizer/pretokenizers/0/pattern", Json::object(), "either Regex or String"},
      {"/pre_tokenizer/pretokenizers/1/add_prefix_space", true, "'add_prefix_space' true is not supported"},
      {"/pre_tokenizer/pretokenizers/2", {{"type", "Digits"}, {"individual_digits", true}}, "after ByteLevel"},
      {"/model/type", "Unigram", "type 'Unigram' is not supported; BPE is needed"},
      {"/model/dropout", 0.1, "'dropout' is not supported"},
      {"/model/continuing_subword_prefix", "##", "'continuing_subword_prefix' is not supported"},
      {"/model/end_of_word_suffix", "</w>", "'end_of_word_suffix' is not supported"},
      {"/model/unknown", 1, "'unknown' is not known"},
      {"/model/vocab/abc", 256, "token 256 is 'ab' and 'abc'"},
      {"/model/vocab/abc", 259, "is 259; 0 to 257 is needed"},
      {"/model/vocab/abc", -1, "is -1; 0 to 257 is needed"},
      {"/model/vocab/abc", 257.5, "is 257.5; 0 to 257 is needed"},
      {"/model/vocab/abc", 18446744073709551615u, "0 to 257 is needed"},
      {"/model/vocab/abc", "x", "0 to 257 is needed"},
      {"/model/vocab/x y", 258, ""},
      {"/model/vocab", Json::array(), "an object is needed"},
      {"/model/vocab", Json::object(), ""},
      {"/model/merges", Json::object(), "an array is needed"},
      {"/model/merges/1", "ab z c", "no two parts"},
      {"/model/merges/1", "abc", "no two parts"},
      {"/model/merges/1", {"ab", "c", "d"}, "has 3 parts; 2 are needed"},
      {"/model/merges/1", {"ab", 3}, "a string is needed"},
      {"/model/merges/1", 3, "a string is needed"},
      {"/model/merges/1", "ab nothing", "'nothing' is not in the vocabulary"},
      {"/model/merges/1", "a c", "'ac' is not in the vocabulary"},
      {"/model/merges/2", "a b", "are merged twice"},
      {"/added_tokens/0/lstrip", true, "'lstrip' true is not supported"},
      {"/added_tokens/0/rstrip", true, "'rstrip' true is not supported"},
      {"/added_tokens/0/single_word", true, "'single_word' true is not supported"},
      {"/added_tokens/0/id", 259, "is 259; 0 to 258 is needed"},
      {"/added_tokens/0/id", 3, "has number 3; 258"},
      {"/added_tokens/0/content", "", "content is empty"},
      {"/added_tokens/0/special", "yes", "true or false is needed"},
      {"/added_tokens/1", small()["added_tokens"][0], "has number 258; 259"},
      {"/added_tokens", nullptr, "an array is needed"},
  };
  for (const auto& [where, what, words] : refused) {
    const auto& pointer = where;  // clang 14 captures no structured bindings
    const auto& value = what;
    CAPTURE(pointer);
    CAPTURE(value.dump());
    CHECK_THROWS_WITH_AS(parse_tokenizer_json(with(pointer, value).dump(), "my.json"), doctest::Contains(words),
                         std::runtime_error);
    CHECK_THROWS_WITH(parse_tokenizer_json(with(pointer, value).dump(), "my.json"), doctest::Contains("my.json: "));
  }
}

TEST_CASE("tokenizer.json: every field that is needed is missed by name") {
  for (const char* name : {"version", "added_tokens", "pre_tokenizer", "decoder", "model"}) {
    Json json = small();
    json.erase(name);
    CHECK_THROWS_WITH(parse_tokenizer_json(json.dump()),
                      doctest::Contains((std::string("'") + name + "' is missing").c_str()));
  }
  for (const char* name : {"type", "vocab", "merges"}) {
    Json json = small();
    json["model"].erase(name);
    CHECK_THROWS_WITH(parse_tokenizer_json(json.dump()),
                      doctest::Contains((std::string("'") + name + "' is missing").c_str()));
  }
}

TEST_CASE("tokenizer.json: what is no JSON, deep nesting and names that stand twice are errors") {
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("[]"), std::string("\xFF"), std::string("nul"),
        std::string(200'000, '['), "{\"a\":" + std::string(200'000, '{')}) {
    CHECK_THROWS_AS(parse_tokenizer_json(text), std::runtime_error);
  }
  CHECK_THROWS_WITH(parse_tokenizer_json("{", "my.json"),
                    doctest::Contains("my.json: not JSON: parse error at line 1, column 2: "));
  CHECK_THROWS_WITH(parse_tokenizer_json("{\"a\":" + std::string(70, '[')),
                    "tokenizer.json: JSON of more than 64 levels");
  CHECK_THROWS_WITH(parse_tokenizer_json(std::string(100'000'001, ' ')),
                    "tokenizer.json: JSON of 100000001 bytes; at most 100000000 are read");
  std::string twice = small().dump();
  twice.replace(twice.find("\"abc\":257"), 9, "\"abc\":257,\"abc\":257");
  CHECK_THROWS_WITH_AS(parse_tokenizer_json(twice), "tokenizer.json: the key \"abc\" appears twice",
                       std::runtime_error);
}

TEST_CASE("tokenizer.json: fields that change nothing are read over") {
  Json json = small();
  json["post_processor"] = {
      {"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", false}, {"use_regex", true}};
  json["normalizer"] = {{"type", "Sequence"}, {"normalizers", Json::array()}};
  json["decoder"]["add_prefix_space"] = true;
  json["model"]["continuing_subword_prefix"] = "";
  json["model"]["unk_token"] = "<end>";
  CHECK(parse_tokenizer_json(json.dump()).data() == parse_tokenizer_json(small().dump()).data());
}

TEST_CASE("tokenizer.json: saved and loaded it is the same; a missing file is named") {
  const auto file = std::filesystem::temp_directory_path() / "dsv3_tokenizer_json_test.json";
  const Tokenizer tokenizer = parse_tokenizer_json(small().dump());
  save_tokenizer(tokenizer, file);
  CHECK(load_tokenizer(file).data() == tokenizer.data());
  std::filesystem::remove(file);
  CHECK_THROWS_WITH_AS(load_tokenizer(file), doctest::Contains(file.string().c_str()), std::runtime_error);
  CHECK_THROWS_AS(load_tokenizer(file.parent_path()), std::runtime_error);
}
