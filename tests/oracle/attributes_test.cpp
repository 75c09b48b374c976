// SPDX-License-Identifier: MIT
#include "reference/oracle/attributes.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>

using namespace dsv3;
using namespace dsv3::oracle;

namespace {

const std::vector<AttributeSpec> specs{
    {.name = "scale", .fallback = std::string("fp32"), .what = "", .choices = {"fp32", "ue8m0"}},
    {.name = "group", .fallback = Index{128}, .what = "", .least = 1, .most = 256},
    {.name = "eps", .fallback = 1e-6, .what = "", .least = 0},
    {.name = "saturate", .fallback = true, .what = ""},
    {.name = "beta", .fallback = 0.9, .what = "", .least = 0, .most = 1, .below_most = true},
    {.name = "theta", .fallback = 1e4, .what = "", .least = 1, .most = 1e12, .above_least = true},
    {.name = "shift", .fallback = 0.0, .what = "", .most = 2},
    {.name = "step", .fallback = Index{1}, .what = "", .least = 1, .most = 1e9},
    {.name = "any", .fallback = 0.0, .what = ""},
    {.name = "every", .fallback = Index{128}, .what = "", .least = 0, .most = 512, .zero = "none"}};

}  // namespace

TEST_CASE("attributes: a whole number may have a word for 0, on the command line and in a case") {
  CHECK(attribute_from("none", specs[9], "op") == Attribute(Index{0}));
  CHECK(attribute_from("0", specs[9], "op") == Attribute(Index{0}));
  CHECK(complete({{"every", std::string("none")}}, {specs[9]}, "op").at("every") == Attribute(Index{0}));
  CHECK_THROWS_WITH_AS(attribute_from("never", specs[9], "op"),
                       "op: every is \"never\"; it must be a whole number from 0 to 512 or none",
                       std::invalid_argument);
}

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
  wrong("nan", 2, "op: eps is \"nan\"; it must be a number of at least 0");
  wrong("inf", 2, "op: eps is \"inf\"; it must be a number of at least 0");
  wrong("-1", 2, "op: eps is \"-1\"; it must be a number of at least 0");
  wrong("1", 3, "op: saturate is \"1\"; it must be true or false");
}

TEST_CASE("attributes: an end of a range is taken or not as its words say, and whole numbers are written as such") {
  const auto refusal = [](double x, std::size_t i) {
    try {
      complete({{specs[i].name, x}}, {specs[i]}, "op");
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(refusal(0, 4) == "");
  CHECK(refusal(1, 4) == "op: beta is \"1\"; it must be a number of at least 0 and below 1");
  CHECK(refusal(1, 5) == "op: theta is \"1\"; it must be a number above 1 and at most 1e+12");
  CHECK(refusal(1e12, 5) == "");
  CHECK(refusal(3, 6) == "op: shift is \"3\"; it must be a number at most 2");
  CHECK(refusal(-1e300, 6) == "");
  CHECK(refusal(2e9, 7) == "op: step is \"2000000000\"; it must be a whole number from 1 to 1000000000");
  CHECK(refusal(INFINITY, 8) == "op: any is \"inf\"; it must be a number, finite");
  CHECK(needed(specs[1]) == "a whole number from 1 to 256");
}

TEST_CASE("attributes: 4.0 is the whole number 4, as a word and as a number; 4.5 and 1e300 are none") {
  CHECK(attribute_from("4.0", specs[1], "op") == Attribute(Index{4}));
  CHECK(complete({{"group", 4.0}}, {specs[1]}, "op") == Attributes{{"group", Index{4}}});
  CHECK(whole_number(4.0) == 4);
  for (const double x : {4.5, 1e300, double{NAN}, double{INFINITY}}) CHECK_FALSE(whole_number(x).has_value());
}

TEST_CASE("attributes: those not given have their fallback, those there are not are refused") {
  const Attributes all = complete({{"eps", Index{1}}}, specs, "op");
  CHECK(std::get<double>(all.at("eps")) == 1);
  CHECK(std::get<Index>(all.at("group")) == 128);
  CHECK(all.size() == specs.size());
  CHECK_THROWS_WITH_AS(
      complete({{"epsilon", 1e-6}}, specs, "op"),
      "op: there is no attribute \"epsilon\"; it has scale, group, eps, saturate, beta, theta, shift, step, any, every",
      std::invalid_argument);
  CHECK_THROWS_WITH_AS(complete({{"group", 1.5}}, specs, "op"),
                       "op: group is \"1.5\"; it must be a whole number from 1 to 256", std::invalid_argument);
}

TEST_CASE("attributes: as JSON and back") {
  const Attributes all = complete({{"eps", 0.1}, {"saturate", false}}, specs, "op");
  CHECK(to_json({{"eps", 0.1}, {"group", Index{128}}, {"saturate", false}, {"scale", std::string("fp32")}}) ==
        R"({"eps":0.1,"group":128,"saturate":false,"scale":"fp32"})");
  CHECK(complete(attributes_from_json(to_json(all), "file"), specs, "op") == all);
  for (const char* const wrong : {"", "[]", "{", R"({"a": null})", R"({"a": [1]})", R"({"a": 1, "a": 2})"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(attributes_from_json(wrong, "file"), std::runtime_error);
  }
}
