// SPDX-License-Identifier: MIT
#include "reference/oracle/find.hpp"

#include <doctest/doctest.h>

#include <set>

#include "reference/oracle/registry.hpp"

using namespace dsv3;
using namespace dsv3::oracle;

namespace {

Case with(Case c, const Attributes& changes) {
  for (const auto& [name, value] : changes) c.attributes[name] = value;
  return c;
}

/// The outputs under other attributes are found, and nothing with fewer changes is.
void check_found(const Op& op, const Case& c, const Attributes& changes) {
  const Search search = find(op, c, run(op, with(c, changes)));
  CAPTURE(op.name);
  CAPTURE(to_json(changes));
  CAPTURE(text(search, c));
  CHECK(search.found());
  CHECK(std::ranges::any_of(search.best, [&](const Finding& f) { return f.different == 0 && f.changed == changes; }));
}

}  // namespace

TEST_CASE("find: tells every convention from the one in the case, in the first op that has it; see the kill table") {
  std::set<std::pair<std::string, std::string>> tried;
  for (const Op& op : registry())
    for (const AttributeSpec& spec : op.attributes) {
      if (!spec.convention) continue;
      for (const std::string& choice : spec.choices) {
        if (!tried.emplace(spec.name, choice).second) continue;
        const Case c = drawn(op, op.kinds.front().name, 3, {}, {});
        if (c.attributes.at(spec.name) == Attribute(choice)) continue;
        CAPTURE(op.name);
        CAPTURE(choice);
        Tensors theirs;
        try {
          theirs = run(op, with(c, {{spec.name, choice}}));
        } catch (const std::invalid_argument& error) {
          CHECK(std::string_view(error.what()).find("needs a square") != std::string_view::npos);
          continue;  // transposed without being square
        }
        const Search search = find(op, c, theirs);
        CHECK(search.found());
      }
    }
}

TEST_CASE("find: two conventions at once, where no single one does it") {
  const Op &quantise = op_named("quantise"), &fprop = op_named("fp8_fprop");
  check_found(quantise, drawn(quantise, "groups", 3, {}, {}),
              {{"dialect", std::string("deepseek_v32")}, {"rounding", std::string("toward_zero")}});
  check_found(fprop, drawn(fprop, "ordinary", 3, {}, {}),
              {{"accumulation", std::string("exact")}, {"scale_order", std::string("in_turn")}});
}

TEST_CASE("find: says so where nothing gives the bits, and what comes nearest") {
  const Op& op = op_named("quantise");
  const Case c = drawn(op, "ordinary", 3, {}, {});
  Tensors theirs = run(op, with(c, {{"rounding", std::string("toward_zero")}}));
  Codes q = codes(theirs.at("q"));
  q(1, 2) ^= 1;
  theirs["q"] = tensor(theirs.at("q").dtype, q);
  const Search search = find(op, c, theirs);
  CHECK_FALSE(search.found());
  CHECK(search.best.front().different == 1);
  CHECK(search.best.front().changed == Attributes{{"rounding", std::string("toward_zero")}});
  CHECK(text(search, c).find("1 elements are outside, 1 differ: rounding=toward_zero instead of nearest_even") !=
        std::string::npos);
}

TEST_CASE("find: a reading that only widens the bounds is no explanation") {
  const Op& op = op_named("mla");
  const Case c = drawn(op, "ordinary", 3, {}, {});
  const FloatMatrix u = float_matrix(run(op, c).at("u"));
  const Tensors theirs{{"u", tensor(FloatMatrix(1.003f * u))}};  // a gain, which no convention is
  const Case wide = with(c, {{"probabilities", std::string("bf16")}});
  REQUIRE(judge(op, wide, theirs).agreement == Agreement::within);
  CHECK_FALSE(find(op, c, theirs).found());
}

TEST_CASE("find: nothing is tried where something is missing") {
  const Op& op = op_named("gate");
  const Case c = drawn(op, "ordinary", 3, {}, {});
  Tensors theirs = run(op, c);
  theirs.erase("weights");
  const Search search = find(op, c, theirs);
  CHECK(search.tried == 1);
  CHECK(text(search, c).find("weights is missing") != std::string::npos);
}
