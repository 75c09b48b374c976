// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "reference/oracle/registry.hpp"

using namespace dsv3;
using namespace dsv3::oracle;

namespace {

struct Setting {
  Sizes sizes;
  Attributes attributes;
};

std::vector<Attribute> values_to_try(const AttributeSpec& spec) {
  std::vector<Attribute> all(spec.choices.begin(), spec.choices.end());
  if (std::holds_alternative<bool>(spec.fallback)) all = {false, true};
  if (std::holds_alternative<Index>(spec.fallback))
    for (const double n : {spec.least, spec.least + 1, 2.0, 3.0, 5.0, 7.0, 8.0, 64.0})
      if (spec.least <= n && n <= spec.most) all.push_back(static_cast<Index>(n));
  if (std::holds_alternative<double>(spec.fallback))
    for (const double x : {spec.least, 0.5, 1.0, 3.0, spec.most})
      if (spec.least <= x && x <= spec.most && std::isfinite(x)) all.push_back(x);
  return all;
}

/// One attribute at a time.
std::vector<Setting> attributes_of(const Op& op) {
  std::vector<Setting> all;
  for (const AttributeSpec& spec : op.attributes)
    for (const Attribute& value : values_to_try(spec)) all.push_back({{}, {{spec.name, value}}});
  return all;
}

/// One size at a time.
std::vector<Setting> sizes_of(const CaseKind& kind) {
  std::vector<Setting> all;
  for (const auto& [letter, usual] : kind.sizes)
    for (const Index n : {0, 1, 2, 3, 5, 7}) all.push_back({{{letter, n}}, {}});
  return all;
}

/// What `call` is refused with, or nothing.
template <class F>
std::string refusal_of(const F& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return {};
}

/// Whether the message begins with "oracle OP: " and the name of an input, a size or an attribute.
bool is_of(const Op& op, const std::string& message) {
  const std::string begin = "oracle " + op.name + ": ";
  if (!message.starts_with(begin)) return false;
  const std::string name = message.substr(begin.size(), message.find_first_of(" :", begin.size()) - begin.size());
  return std::ranges::find(op.inputs, name, &TensorSpec::name) != op.inputs.end() ||
         std::ranges::find(op.attributes, name, &AttributeSpec::name) != op.attributes.end() ||
         op.kinds.front().sizes.contains(name);
}

}  // namespace

TEST_CASE("demands: what gen draws run takes, and what it refuses it names by an input, a size or an attribute") {
  Index refused = 0;
  const auto draw_and_run = [&](const Op& op, const std::string& kind, const std::vector<Setting>& settings) {
    for (const auto& [sizes, attributes] : settings) {
      CAPTURE(op.name);
      CAPTURE(kind);
      std::optional<Case> c;
      const std::string message = refusal_of([&] { c = drawn(op, kind, 1, sizes, attributes); });
      CAPTURE(message);
      if (c) {
        CHECK(refusal_of([&] { run(op, *c); }) == "");
      } else {
        CHECK(is_of(op, message));
        ++refused;
      }
    }
  };
  for (const Op& op : registry()) {
    draw_and_run(op, op.kinds.front().name, attributes_of(op));
    for (const CaseKind& kind : op.kinds) draw_and_run(op, kind.name, sizes_of(kind));
  }
  CHECK(refused > 1000);
}

TEST_CASE("demands: gen and run refuse an attribute in the same words") {
  Index compared = 0;
  for (const Op& op : registry()) {
    const Case usual = drawn(op, op.kinds.front().name, 1, {}, {});
    for (const auto& [sizes, changed] : attributes_of(op)) {
      const std::string of_gen = refusal_of([&] { drawn(op, op.kinds.front().name, 1, {}, changed); });
      Attributes attributes = usual.attributes;
      for (const auto& [name, value] : changed) attributes[name] = value;
      const std::string of_run = refusal_of([&] { run(op, checked(op, usual.inputs, attributes)); });
      CAPTURE(op.name);
      if (of_gen.empty() || of_run.find(" in place ") != std::string::npos) continue;  // another shape is needed
      CHECK(of_run == of_gen);
      ++compared;
    }
  }
  CHECK(compared > 100);
}

TEST_CASE("demands: values that cannot be are refused without the names of our own parts") {
  const auto message_of = [](const char* name, const char* input, const Tensor& t, const Attributes& attributes = {}) {
    const Op& op = op_named(name);
    Case c = drawn(op, op.kinds.front().name, 1, {}, attributes);
    REQUIRE(c.inputs.contains(input));
    c.inputs[input] = t;
    return refusal_of([&] { run(op, checked(op, c.inputs, c.attributes)); });
  };
  const auto whole = [](std::int64_t value, std::vector<Index> shape) {
    Index n = 1;
    for (const Index size : shape) n *= size;
    return tensor(std::vector<std::int64_t>(static_cast<std::size_t>(n), value), shape);
  };
  CHECK(message_of("permute", "experts", whole(16, {24, 4})) ==
        "oracle permute: experts: token 0 asks for expert 16; it must be from 0 to N_r - 1 = 15");
  CHECK(message_of("gate_replay", "experts", whole(3, {32, 4})) ==
        "oracle gate_replay: experts: token 0 asks for an expert twice; its 4 must be different");
  CHECK(message_of("rope", "positions", whole(163840, {16})) ==
        "oracle rope: positions: one is 163840; it must be from 0 to max_length - 1 = 163839");
  CHECK(message_of("mla", "positions", whole(3, {12})) ==
        "oracle mla: positions: token 1 is at 3; it must be at 4: the tokens are one sequence");
  CHECK(message_of("gate", "b", tensor(FloatMatrix::Constant(1, 32, 1e30f), {32})).starts_with("oracle gate: b of "));
  const FloatMatrix nan = FloatMatrix::Constant(32, 64, std::numeric_limits<float>::quiet_NaN());
  CHECK(message_of("gate", "x", tensor(nan)).starts_with("oracle gate: the logit of token 0 for expert 0 is"));
}

TEST_CASE("demands: too large is refused before anything is multiplied, an empty tensor's other sizes too") {
  const Op& op = op_named("fp8_fprop");
  const auto gen = [&](const Sizes& sizes) { return refusal_of([&] { drawn(op, "ordinary", 1, sizes, {}); }); };
  const Index huge = Index{1} << 31;
  CHECK(gen({{"T", Index{1} << 62}}) == "oracle fp8_fprop: T is 4611686018427387904; at most 2^31 is taken");
  CHECK(gen({{"T", huge}, {"K", 0}, {"N", huge}}) ==
        "oracle fp8_fprop: y would have the shape [2147483648, 2147483648]; at most 2^31 elements are taken, where a "
        "size of 0 counts as 1");
  CHECK(gen({{"T", Index{1} << 15}, {"N", Index{1} << 15}, {"K", 1 << 15}}) ==
        "oracle fp8_fprop: inputs and outputs would take 6.03149 GiB; at most 4 are taken, or what the environment "
        "variable DSV3_ORACLE_GIB says; a check takes many times as much memory");
  const auto empty = [](Dtype dtype, std::vector<Index> shape) { return Tensor{dtype, std::move(shape), {}, {}}; };
  const auto check = [&](Index T, Index N) {
    return refusal_of([&] {
      checked(op,
              {{"x_q", empty(Dtype::f8_e4m3, {T, 0})},
               {"x_s", empty(Dtype::f32, {T, 0})},
               {"W_q", empty(Dtype::f8_e4m3, {N, 0})},
               {"W_s", empty(Dtype::f32, {N / 128, 0})}},
              {});
    });
  };
  CHECK(check(huge, huge).find("y would have the shape [2147483648, 2147483648]") != std::string::npos);
  CHECK(check(Index{1} << 62, 128) ==
        "oracle fp8_fprop: \"x_q\": has the shape [4611686018427387904, 0]; at most 2^31 elements are taken, where a "
        "size of 0 counts as 1");
  CHECK(check(3, 128) == "");
}

TEST_CASE("demands: the environment says how much memory a case may take") {
  const auto gen = [](const char* gib) {
    ::setenv("DSV3_ORACLE_GIB", gib, 1);
    const std::string message = refusal_of([] { drawn(op_named("cast"), "ordinary", 1, {{"M", 1 << 10}}, {}); });
    ::unsetenv("DSV3_ORACLE_GIB");
    return message;
  };
  CHECK(gen("0.0013") == "");  // 1024 x 256 numbers of four bytes and codes of one
  CHECK(
      gen("0.0012").starts_with("oracle cast: inputs and outputs would take 0.0012207 GiB; at most 0.0012 are taken"));
  CHECK(gen("many") == "oracle: DSV3_ORACLE_GIB is \"many\"; it must be a number above 0");
}
