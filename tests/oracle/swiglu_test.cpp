// SPDX-License-Identifier: MIT
#include "tests/oracle/answers.hpp"

using namespace dsv3;
using namespace dsv3::oracle;

TEST_CASE("swiglu: by hand, and its slopes") {
  const double s = 1 / (1 + std::exp(-1.5));
  const Tensors inputs{{"gate", row({1.5, -1.5, 0}, {1, 3})}, {"up", row({2, 4, 8}, {1, 3})}};
  check_values(answer("swiglu", inputs).at("h"), {1.5 * s * 2, -1.5 * (1 - s) * 4, 0}, printed);
  Tensors with_dh = inputs;
  with_dh["dh"] = row({1, 10, 1}, {1, 3});
  const Tensors slopes = answer("swiglu_backward", with_dh);
  check_values(slopes.at("dgate"), {2 * s * (1 + 1.5 * (1 - s)), 40 * (1 - s) * (1 - 1.5 * s), 4}, printed);
  check_values(slopes.at("dup"), {1.5 * s, -15 * (1 - s), 0}, printed);
}

TEST_CASE("swiglu: the other half, GELU, a rounding to BF16 too many and a clamp are found, forward and backward") {
  for (const char* op : {"swiglu", "swiglu_backward", "swiglu_fp8_cached", "swiglu_fp8_cached_backward"}) {
    CAPTURE(op);
    CHECK(says(found(op, "ordinary", {{"gate_half", word("up")}}), "gate_half=up instead of gate"));
    CHECK(says(found(op, "ordinary", {{"activation", word("gelu_tanh")}}), "activation=gelu_tanh"));
    CHECK(says(found(op, "ordinary", {{"silu_rounding", word("bf16")}}), "silu_rounding=bf16"));
    CHECK(says(found(op, "saturated", {{"clamp", 7.0}}), "clamp=7"));
  }
  CHECK(says(found("swiglu_fp8_cached", "ordinary", {{"h_from", word("values")}}), "h_from=values"));
  CHECK(says(found("swiglu_fp8_cached", "ordinary", {{"dialect", word("deepseek_v32")}}), "dialect=deepseek_v32"));
}

TEST_CASE("swiglu_fp8_cached: h is judged from their codes, be they ours or not") {
  const Op& op = op_named("swiglu_fp8_cached");
  const Case c = drawn(op, "ordinary", 1, {}, {}),
             powers = drawn(op, "ordinary", 1, {}, {{"scale", word("ue8m0_ceil")}});
  const Verdict verdict = judge(op, c, run(op, powers));
  for (const TensorVerdict& v : verdict.tensors) {
    CAPTURE(v.name);
    CHECK((v.agreement == Agreement::outside) == (v.name != "h"));
  }
}
