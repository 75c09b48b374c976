// SPDX-License-Identifier: MIT
#include "reference/oracle/registry.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "reference/oracle/verdict.hpp"

using namespace dsv3;
using namespace dsv3::oracle;

namespace {

bool equal(const Tensors& a, const Tensors& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.dtype == y.second.dtype && x.second.shape == y.second.shape &&
           std::ranges::equal(x.second.bytes, y.second.bytes);
  });
}

Tensors with(Tensors inputs, const std::string& name, Tensor tensor) {
  inputs[name] = std::move(tensor);
  return inputs;
}

}  // namespace

TEST_CASE("oracle: every op, every kind of case: drawn twice the same, ours are ours, the outputs are as described") {
  for (const Op& op : registry())
    for (const CaseKind& kind : op.kinds) {
      CAPTURE(op.name);
      CAPTURE(kind.name);
      const Case c = drawn(op, kind.name, 5, {}, {}), again = drawn(op, kind.name, 5, {}, {});
      CHECK(equal(c.inputs, again.inputs));
      CHECK_FALSE(equal(c.inputs, drawn(op, kind.name, 6, {}, {}).inputs));
      const Tensors ours = run(op, c);
      CHECK(judge(op, c, ours).agreement == Agreement::bits);
      for (const TensorSpec& spec : op.outputs) {
        const auto found = ours.find(spec.name);
        CHECK((spec.optional || found != ours.end()));
        if (found == ours.end()) continue;
        const Tensor& t = found->second;
        CHECK(t.shape == shape_of(spec.shape, c.sizes));
        CHECK(std::ranges::find(spec.dtypes, t.dtype) != spec.dtypes.end());
      }
      for (const auto& [name, limit] : op.limits(c, ours, {})) {
        CAPTURE(name);
        CHECK((limit.bound.empty() || std::ssize(limit.bound) == ours.at(name).size()));
        for (const double bound : limit.bound) CHECK_FALSE(bound < 0);
      }
    }
}

TEST_CASE("oracle: a kind of case holds NaN or infinities only where its description says so") {
  for (const Op& op : registry())
    for (const CaseKind& kind : op.kinds)
      for (const auto& [name, t] : drawn(op, kind.name, 1, {}, {}).inputs) {
        if (!is_plain_float(t.dtype)) continue;
        CAPTURE(op.name);
        CAPTURE(kind.name);
        CAPTURE(name);
        const auto says = [&](const char* word) {
          return kind.what.find(word) != std::string::npos && kind.what.find("without") == std::string::npos;
        };
        const Doubles x = values(t);
        CHECK((says("NaN") || std::ranges::none_of(x, [](double a) { return std::isnan(a); })));
        CHECK((says("infinit") || std::ranges::none_of(x, [](double a) { return std::isinf(a); })));
      }
}

TEST_CASE("oracle: every op works on cases of size 0 and 1, of no tokens always, or says what it needs") {
  for (const Op& op : registry())
    for (const auto& [letter, usual] : op.kinds.front().sizes)
      for (const Index n : {0, 1}) {
        CAPTURE(op.name);
        CAPTURE(letter);
        CAPTURE(n);
        try {
          const Case c = drawn(op, op.kinds.front().name, 1, {{letter, n}}, {});
          const Verdict verdict = judge(op, c, run(op, c));
          CHECK(verdict.agreement <= Agreement::bits);  // of no elements: nothing
        } catch (const std::invalid_argument& error) {
          CAPTURE(std::string(error.what()));
          CHECK(((letter != "T" && letter != "M") || op.name.starts_with("model")));
          CHECK(std::string(error.what()).find("must") != std::string::npos);
        }
      }
}

TEST_CASE("oracle: names are unique, everything is explained, shapes can be computed") {
  std::set<std::string> names;
  for (const Op& op : registry()) {
    CAPTURE(op.name);
    CHECK(names.insert(op.name).second);
    CHECK(!op.what.empty());
    CHECK(!op.contract.empty());
    CHECK(!op.kinds.empty());
    for (const auto* specs : {&op.inputs, &op.outputs})
      for (const TensorSpec& spec : *specs) CHECK((!spec.what.empty() && !spec.dtypes.empty()));
    for (const AttributeSpec& a : op.attributes) CHECK(!a.what.empty());
    CHECK(description(op).find(op.contract.substr(0, 30)) != std::string::npos);
  }
}

TEST_CASE("oracle: a call that cannot be right is refused with what is and what is needed") {
  const Op& op = op_named("fp8_fprop");
  const Tensors good = drawn(op, "ragged", 1, {}, {}).inputs;  // T = 19, N = 131, K = 300
  const auto refused = [&](const Tensors& inputs, const Attributes& attributes, const char* message) {
    CHECK_THROWS_WITH_AS(checked(op, inputs, attributes), message, std::invalid_argument);
  };
  Tensors less = good;
  less.erase("W_s");
  refused(less, {}, "oracle fp8_fprop: W_s is missing; it needs W_s [ceil(N/128), ceil(K/128)] of F32");
  refused(with(good, "b", good.at("x_s")), {}, "oracle fp8_fprop: there is no input \"b\"; it has x_q, x_s, W_q, W_s");
  refused(with(good, "x_q", good.at("x_s")), {}, "oracle fp8_fprop: x_q: is F32; it must be F8_E4M3 or F8_E5M2");
  refused(with(good, "x_s", tensor(FloatMatrix::Zero(3, 19))), {},
          "oracle fp8_fprop: x_s: is [3, 19]; [T, ceil(K/128)] needs T = 19 in place 1");
  Tensor lying = good.at("x_s");
  lying.bytes = lying.bytes.first(8);
  refused(with(good, "x_s", lying), {}, "oracle fp8_fprop: x_s: has 8 bytes; [19, 3] of F32 needs 228");
  refused(
      good, {{"accumulation", std::string("fp16")}},
      "oracle fp8_fprop: accumulation is \"fp16\"; it must be one of hopper_fp8_wgmma, ada_fp8, blackwell_fp8, fp32, "
      "exact");
  CHECK_THROWS_AS(drawn(op, "ragged", 1, {{"T", -1}}, {}), std::invalid_argument);
  CHECK_THROWS_AS(drawn(op, "ragged", 1, {{"T", Index{1} << 40}}, {}), std::invalid_argument);
  CHECK_THROWS_AS(drawn(op, "ragged", 1, {{"Q", 1}}, {}), std::invalid_argument);
  CHECK_THROWS_AS(drawn(op, "common", 1, {}, {}), std::invalid_argument);
  CHECK_THROWS_AS(op_named("fp8"), std::invalid_argument);
}
