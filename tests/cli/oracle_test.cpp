// SPDX-License-Identifier: MIT
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/cli/trained.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("dsv3 oracle: gen, run, check and find work on files; check and find end with 1 where theirs are not ours") {
  const Scratch scratch;
  const std::string c = scratch / "case.safetensors", ours = scratch / "ours.safetensors",
                    others = scratch / "others.safetensors";
  const auto ok = [](const std::vector<std::string>& arguments) {
    const Ended e = run(arguments);
    CHECK(e.err == "");
    CHECK(e.status == 0);
    return e.out;
  };
  ok({"oracle", "gen", "quantise", "--kind", "groups", "--set", "M=9", "--seed", "7", "-o", c});
  const std::string bytes = get(c);
  ok({"oracle", "gen", "quantise", "--kind", "groups", "--set", "M=9", "--seed", "7", "-o", c});
  CHECK(get(c) == bytes);
  CHECK(contains(ok({"oracle", "run", "quantise", c, "-o", ours}), "q F8_E4M3 [9, 512] s F32 [9, 4]"));
  CHECK(contains(ok({"oracle", "check", "quantise", c, ours}), "q: equal bit for bit, 4608 elements"));

  ok({"oracle", "run", "quantise", c, "--set", "dialect=deepseek_v32", "--set", "rounding=toward_zero", "-o", others});
  const Ended check = run({"oracle", "check", "quantise", c, others, "--json"});
  CHECK(check.status == 1);
  CHECK(nlohmann::json::parse(check.out).at("agreement") == "OUTSIDE");
  CHECK(contains(ok({"oracle", "find", "quantise", c, others}), "rounding=toward_zero instead of nearest_even"));
  CHECK(run({"oracle", "find", "quantise", c, c}).status == 2);  // no outputs at all
}

TEST_CASE("dsv3 oracle: gen --all writes a pack, of one op or of all, the same bytes each time, and replaces none") {
  const Scratch scratch;
  const std::string one = scratch / "one", again = scratch / "again", file = "/cast/special.safetensors";
  const Ended e = run({"oracle", "gen", "cast", "--all", "--seed", "5", "-o", one});
  CHECK(e.status == 0);
  CHECK(e.out == one + ": 4 cases, 0.3 MB\n");
  CHECK(run({"oracle", "gen", "--all", "cast", "--seed", "5", "-o", again, "--json"}).out == "");
  CHECK(get(one + file) == get(again + file));
  const auto refused = [](const std::vector<std::string>& arguments, const std::string& message) {
    CHECK(not_refused(run(arguments), "dsv3 oracle: " + message) == "");
  };
  refused({"oracle", "gen", "cast", "--all", "-o", one}, one + ": is there already; a new folder is needed");
  refused({"oracle", "gen", "-o", one}, "oracle gen: there is no op; the name of one, or --all, is needed");
  refused({"oracle", "gen", "--all", "--kind", "special", "-o", again + "2"}, "--all: draws every kind of case");
  refused({"oracle", "gen", "cast", "--all", "--set", "M=3", "-o", again + "2"}, "--all: draws every kind of case");
  refused({"oracle", "gen", "kast", "--all", "-o", again + "2"}, "there is no op \"kast\"");
  CHECK(!std::filesystem::exists(again + "2"));
}

TEST_CASE("dsv3 oracle: cases and outputs go through pipes; of two that come from standard input there is none") {
  const Scratch scratch;
  const std::string c = scratch / "case", ours = scratch / "ours", program = std::string(DSV3_PROGRAM) + " oracle ";
  const auto shell = [](const std::string& line) {
    return std::system(("bash -o pipefail -c '" + line + "'").c_str());
  };
  REQUIRE(run({"oracle", "gen", "quantise", "-o", c}).status == 0);
  REQUIRE(run({"oracle", "run", "quantise", c, "-o", ours}).status == 0);
  const Ended gen = run({"oracle", "gen", "quantise", "-o", "-"});
  CHECK((gen.out == get(c) && gen.err == ""));
  CHECK(shell(program + "gen quantise -o - | " + program + "run quantise - -o - | cmp - " + ours) == 0);
  CHECK(shell(program + "run quantise - -o - <" + c + " | " + program + "check quantise " + c + " - >/dev/null") == 0);
  CHECK(shell(program + "check quantise - " + ours + " <" + c + " >/dev/null") == 0);
  CHECK(shell(program + "find quantise - " + ours + " <" + c + " >/dev/null") == 0);
  const auto refused = [](const std::vector<std::string>& arguments, const std::string& message) {
    CHECK(not_refused(run(arguments), "dsv3 oracle: " + message) == "");
  };
  refused({"oracle", "check", "quantise", "-", "-"},
          "check: case and theirs are both -; standard input is one of them");
  refused({"oracle", "check", "quantise", c, "-"}, "standard input: has 0 bytes");
}

TEST_CASE("dsv3 oracle: describe and list say all there is, as text and as JSON") {
  CHECK(contains(run({"oracle", "list"}).out, "fp8_fprop"));
  const Ended e = run({"oracle", "describe", "fp8_wgrad", "--json"});
  CHECK(nlohmann::json::parse(e.out).at("inputs").size() == 5);
  CHECK(contains(run({"oracle", "describe", "quantise"}).out, "[ceil(M/group_rows), ceil(K/group_cols)]"));
}

TEST_CASE("dsv3 oracle: what cannot be is refused with what is and what is needed") {
  const Scratch scratch;
  const std::string c = scratch / "case.safetensors";
  REQUIRE(run({"oracle", "gen", "cast", "-o", c}).status == 0);
  const auto refused = [](const std::vector<std::string>& arguments, const std::string& message) {
    CHECK(not_refused(run(arguments), "dsv3 oracle: " + message) == "");
  };
  refused({"oracle", "run", "fast", c, "-o", c}, "there is no op \"fast\"; did you mean cast?\n");
  refused({"oracle", "describe", "quantize"}, "there is no op \"quantize\"; did you mean quantise?\n");
  refused({"oracle", "describe", "gemm"}, "there is no op \"gemm\"; it must be one of cast, quantise");
  refused({"oracle", "run", "quantise", c, "-o", c}, c + ": is a case of \"cast\", not of quantise");
  refused({"oracle", "gen", "cast", "--kind", "odd", "-o", c}, "oracle cast: there is no kind of case \"odd\"; it has");
  refused({"oracle", "gen", "cast", "--set", "M", "-o", c}, "--set: \"M\" is not NAME=VALUE");
  refused({"oracle", "gen", "cast", "--set", "Q=3", "-o", c},
          "oracle cast: there is no size or attribute \"Q\"; the sizes are M, N, the attributes format, rounding, "
          "saturate");
  refused({"oracle", "gen", "cast", "--set", "Q=x", "-o", c}, "oracle cast: there is no size or attribute \"Q\"");
  refused({"oracle", "gen", "cast", "--set", "M=abc", "-o", c},
          "oracle cast: M is \"abc\"; it must be a whole number from 0 to 2^31\n");
  refused({"oracle", "gen", "cast", "--seed", "99999999999999999999", "-o", c},
          "--seed is 99999999999999999999; it must be a whole number of at least 0 and at most 2^64 - 1\n");
  refused({"oracle", "run", "cast", c, "--set", "M=3", "-o", c}, "oracle cast: there is no attribute \"M\"; it has");
  refused({"oracle", "gen", "cast", "--set", "M=-3", "-o", c}, "oracle cast: M is -3");
  refused({"oracle", "run", "cast", c, "--set", "format=fp7", "-o", c},
          "oracle cast: format is \"fp7\"; it must be one of");
  refused({"oracle", "check", "cast", c, scratch / "none"}, (scratch / "none"));
  put(scratch / "short", get(c).substr(0, 100));
  refused({"oracle", "check", "cast", scratch / "short", c}, (scratch / "short"));
  CHECK(run({"oracle"}).status == 2);
}

TEST_CASE("dsv3 oracle: where nothing is compared, check ends with 1 as find does") {
  const Scratch scratch;
  const std::string c = scratch / "case", ours = scratch / "ours";
  REQUIRE(run({"oracle", "gen", "quantise", "--set", "M=0", "-o", c}).status == 0);
  REQUIRE(run({"oracle", "run", "quantise", c, "-o", ours}).status == 0);
  for (const char* const command : {"check", "find"}) {
    const Ended e = run({"oracle", command, "quantise", c, ours});
    CHECK(e.status == 1);
    CHECK(contains(e.out, "nothing was compared: no output has an element\n"));
  }
}
