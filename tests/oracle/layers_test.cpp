// SPDX-License-Identifier: MIT
#include "tests/oracle/answers.hpp"

using namespace dsv3;
using namespace dsv3::oracle;

namespace {

/// What the verdict says of another reading of a kind of case, given y alone.
Agreement judged_by_y(const Op& op, const char* kind, const Attributes& theirs) {
  const Case c = drawn(op, kind, 3, {}, {});
  Case other = c;
  for (const auto& [name, value] : theirs) other.attributes[name] = value;
  return judge(op, c, {{"y", run(op, other).at("y")}}).agreement;
}

}  // namespace

TEST_CASE("layers: an eps of 1e-5 before the FFN alone shows in y where the residual stream is small, and is found") {
  const Attributes other{{"ffn_eps", word("1e-05")}};
  for (const char* name : {"dense_layer", "moe_layer"}) {
    CAPTURE(name);
    const Op& op = op_named(name);
    CHECK(judged_by_y(op, "small_stream", {}) == Agreement::bits);
    CHECK(judged_by_y(op, "small_stream", other) == Agreement::outside);
    CHECK(judged_by_y(op, "small", other) == Agreement::within);  // attention makes x' as large as ever
    CHECK(says(found(name, "small_stream", other), "equal bit for bit: ffn_eps=1e-05 instead of eps"));
  }
}

TEST_CASE("mla: a window off by one is found, whichever way") {
  for (const char* op : {"mla", "mla_decode"}) {
    const char* const kind = op == std::string("mla") ? "ordinary" : "several";
    for (const char* causal : {"not_itself", "one_ahead"})
      CHECK(says(found(op, kind, {{"causal", word(causal)}}), std::string("equal bit for bit: causal=") + causal));
  }
}
