// SPDX-License-Identifier: MIT
#include "reference/oracle/attributes.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

using namespace dsv3;
using namespace dsv3::oracle;

namespace {

const std::vector<AttributeSpec> specs{
    {.name = "scale", .fallback = std::string("fp32"), .what = "", .choices = {"fp32", "ue8m0"}},
    {.name = "group", .fallback = Index{128}, .what = "", .least = 1, .most = 256},
    {.name = "eps", .fallback = 1e-6, .what = "", .least = 0},
    {.name = "saturate", .fallback = true, .what = ""}};

}  // namespace

TEST_CASE("attributes: words become the type of the attribute, or an error that says what it must be") {
  CHECK(attribute_from("ue8m0", specs[0], "op") == Attribute(std::string("ue8m0")));
  CHECK(attribute_from("7", specs[1], "op") == Attribute(Index{7}));
  CHECK(attribute_from("7", specs[2], "op") == Attribute(7.0));
  CHECK(attribute_from("1e-5", specs[2], "op") == Attribute(1e-5));
  CHECK(attribute_from("false", specs[3], "op") == Attribute(false));
  const auto wrong = [](const char* word, std::size_t i, const char* message) {
    CHECK_THROWS_WITH_AS(attribute_from(word, specs[i], "op"), message, std::invalid_argument);
  };
  wrong("fp16", 0, "op: scale is \"fp16\"; it must be one of fp32, ue8m0");
  wrong("0", 1, "op: group is \"0\"; it must be a whole number from 1 to 256");
  wrong("1.5", 1, "op: group is \"1.5\"; it must be a whole number from 1 to 256");
  wrong("nan", 2, "op: eps is \"nan\"; it must be a number from 0 to inf");
  wrong("-1", 2, "op: eps is \"-1\"; it must be a number from 0 to inf");
  wrong("1", 3, "op: saturate is \"1\"; it must be true or false");
}

TEST_CASE("attributes: those not given have their fallback, those there are not are refused") {
  const Attributes all = complete({{"eps", Index{1}}}, specs, "op");
  CHECK(all == Attributes{{"scale", std::string("fp32")}, {"group", Index{128}}, {"eps", 1.0}, {"saturate", true}});
  CHECK_THROWS_WITH_AS(complete({{"epsilon", 1e-6}}, specs, "op"),
                       "op: there is no attribute \"epsilon\"; it has scale, group, eps, saturate",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(complete({{"group", 1.5}}, specs, "op"),
                       "op: group is \"1.5\"; it must be a whole number from 1 to 256", std::invalid_argument);
}

TEST_CASE("attributes: as JSON and back") {
  const Attributes all = complete({{"eps", 0.1}, {"saturate", false}}, specs, "op");
  CHECK(to_json(all) == R"({"eps":0.1,"group":128,"saturate":false,"scale":"fp32"})");
  CHECK(complete(attributes_from_json(to_json(all), "file"), specs, "op") == all);
  for (const char* const wrong : {"", "[]", "{", R"({"a": null})", R"({"a": [1]})", R"({"a": 1, "a": 2})"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(attributes_from_json(wrong, "file"), std::runtime_error);
  }
}
