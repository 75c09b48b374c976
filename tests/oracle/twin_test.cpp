// SPDX-License-Identifier: MIT
// The reference and the twin of each op, written apart, must agree; and what the twin imitates must be judged rightly.
#include <doctest/doctest.h>

#include <cmath>

#include "reference/oracle/registry.hpp"
#include "reference/oracle/twin/twin.hpp"
#include "reference/oracle/verdict.hpp"

using namespace dsv3;
using namespace dsv3::oracle;

namespace {

/// The largest share of its bound that an element of ours takes, measured from the twin's value.
double share_of_ours(const Tensors& ours, const Limits& limits) {
  double most = 0;
  for (const auto& [name, limit] : limits) {
    if (limit.center.empty()) continue;
    const Doubles numbers = values(ours.at(name));
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const double apart = std::abs(numbers[i] - limit.center[i]);
      if (apart > 0) most = std::max(most, std::isfinite(apart) ? apart / limit.bound[i] : INFINITY);
    }
  }
  return most;
}

template <class F>
void for_every_twin(F&& f) {
  for (const Op& op : registry())
    if (op.imitate)
      for (const CaseKind& kind : op.kinds) {
        CAPTURE(op.name);
        CAPTURE(kind.name);
        for (const std::uint64_t seed : {1, 2, 3}) f(op, drawn(op, kind.name, seed, {}, {}));
      }
}

}  // namespace

TEST_CASE("twin: the reference lies within the bounds around the twin's values") {
  for_every_twin([](const Op& op, const Case& c) {
    const Tensors ours = run(op, c);
    CHECK(share_of_ours(ours, op.limits(c, ours, ours)) <= 1);
  });
}

TEST_CASE("twin: implementations that round every step to FP32 are accepted, whichever way their sums run") {
  for_every_twin([](const Op& op, const Case& c) {
    for (const bool descending : {false, true}) {
      const Verdict verdict = judge(op, c, op.imitate(c, {.exact = false, .descending = descending}));
      INFO(text(verdict));
      CHECK(verdict.agreement != Agreement::outside);
    }
  });
}

TEST_CASE("twin: a sound implementation of another convention is accepted where the case has that convention") {
  for (const Op& op : registry()) {
    if (!op.imitate) continue;
    const Case c = drawn(op, op.kinds.front().name, 1, {}, {});
    for (const AttributeSpec& spec : op.attributes) {
      if (!spec.convention) continue;
      for (const std::string& choice : spec.choices) {
        Case other = c;
        other.attributes[spec.name] = choice;
        CAPTURE(op.name);
        CAPTURE(choice);
        Tensors theirs;
        try {
          theirs = op.imitate(other, {.exact = false, .descending = true});
        } catch (const std::invalid_argument&) {
          continue;  // transposed without being square
        }
        const Verdict verdict = judge(op, other, theirs);
        INFO(text(verdict));
        CHECK(verdict.agreement != Agreement::outside);
      }
    }
  }
}
