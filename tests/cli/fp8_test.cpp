// SPDX-License-Identifier: MIT
#include <nlohmann/json.hpp>

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
  CHECK(!contains(e.out, "two seeds"));
  CHECK(not_refused(run(arguments(scratch, {"--variants", "fp9"})),
                    "there is no variant 'fp9'; it must be one of fp8, ") == "");
  CHECK(not_refused(run({"fp8", "--config", "tinny", "--data", scratch / "text.txt", "--out", scratch / "none"}),
                    "there is no configuration 'tinny'") == "");
  CHECK(not_refused(run({"fp8", "--config", "tiny", "--out", scratch / "none"}), "--data is missing") == "");
  CHECK(!std::filesystem::exists(scratch / "none"));
}
