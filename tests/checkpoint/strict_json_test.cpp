// SPDX-License-Identifier: MIT
#include "reference/checkpoint/strict_json.hpp"

#include <chrono>
#include <nlohmann/json.hpp>

#include "tests/checkpoint/scratch.hpp"

using namespace dsv3;
using namespace dsv3::test;
using nlohmann::json;

namespace {
std::string said(const std::string& text) {
  return thrown([&] { parse_strict_json(text, "F"); });
}

/// `levels` arrays or objects in each other, a number inside the last.
std::string nested(int levels, const std::string& open, const std::string& close) {
  std::string text;
  for (int i = 0; i < levels; ++i) text += open;
  text += "1";
  for (int i = 0; i < levels; ++i) text += close;
  return text;
}
}  // namespace

TEST_CASE("strict_json: the value is the one that the library reads") {
  for (const char* text :
       {"null", "true", "-3", "18446744073709551615", "2.5e-3", R"("\u00e9\n")", "[]", "{}", "[[],{},[1,[2,3],4],5]",
        R"({"a":{"b":[{"c":1},{"c":2}],"d":null},"e":[false,{"f":{}}],"":-0.0})", " [ 1 , {\"x\" : \"y\"} ] "}) {
    CAPTURE(text);
    const json value = parse_strict_json(text, "F"), expected = json::parse(text);
    CHECK(value == expected);
    CHECK(value.dump() == expected.dump());
  }
}

TEST_CASE("strict_json: a key may stand in several objects, but twice in none, at any depth") {
  CHECK(said(R"([{"a":1},{"a":{"a":2}}])") == "nothing thrown");
  CHECK(said(R"({"a":1,"b":2,"a":1})") == "F: the key \"a\" appears twice");
  CHECK(said(R"({"a":[{"b":{"c":{},"c":0}}]})") == "F: the key \"c\" appears twice");
  CHECK(said(R"({"a":{"b":1},"a":{}})") == "F: the key \"a\" appears twice");
  CHECK(said(R"({"a\n":1,"a\u000a":1})") == "F: the key \"a\\n\" appears twice");
}

TEST_CASE("strict_json: 64 levels are read, 65 are not") {
  CHECK(said(nested(64, "[", "]")) == "nothing thrown");
  CHECK(said(nested(65, "[", "]")) == "F: JSON of more than 64 levels");
  CHECK(said(nested(64, "{\"a\":", "}")) == "nothing thrown");
  CHECK(said(nested(65, "{\"a\":", "}")) == "F: JSON of more than 64 levels");
}

TEST_CASE("strict_json: what is not JSON is said with the parser's words and the place") {
  CHECK(said("").starts_with("F: not JSON: parse error at line 1, column 1: "));
  CHECK(said("{\"a\":1,\n}").starts_with("F: not JSON: parse error at line 2, column 1: "));
  for (const char* text : {"[1] 2", "[1,]", "{\"a\"}", "nul", "1e999", "[NaN]", "// 1\n1", "\"\xFF\"", "[1"}) {
    CAPTURE(text);
    CHECK(said(text).starts_with("F: not JSON: "));
  }
}

TEST_CASE("strict_json: more than 100 MB are not looked at") {
  CHECK(said(std::string(100'000'001, ' ')) == "F: JSON of 100000001 bytes; at most 100000000 are read");
}

TEST_CASE("strict_json: the header of 100,000 tensors takes no time that grows with its square") {
  std::string header = "{";
  constexpr int num_tensors = 100'000;
  for (int i = 0; i < num_tensors; ++i)
    header += concat(i > 0 ? "," : "", "\"model.layers.", i % 61, ".mlp.experts.", i,
                     ".up_proj.weight\":", R"({"dtype":)", R"("U8","shape":[1],"data_offsets":[)", i, ",", i + 1, "]}");
  const std::string bytes = safetensors_bytes(header + "}", std::string(num_tensors, 'x'));
  const auto begin = std::chrono::steady_clock::now();
  CHECK(parse(bytes).tensors.size() == num_tensors);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));  // minutes where it is quadratic
}
