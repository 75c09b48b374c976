// SPDX-License-Identifier: MIT
// Ops against numbers worked out by hand or on paper.
#include <doctest/doctest.h>

#include <cmath>

#include "reference/oracle/find.hpp"
#include "reference/oracle/registry.hpp"
#include "reference/oracle/verdict.hpp"

using namespace dsv3;
using namespace dsv3::oracle;

namespace {

Tensor row(const std::vector<float>& x, std::vector<Index> shape) {
  return tensor(Eigen::Map<const FloatMatrix>(x.data(), 1, std::ssize(x)), std::move(shape));
}

Tensors answer(const char* op, const Tensors& inputs, const Attributes& attributes = {}) {
  return run(op_named(op), checked(op_named(op), inputs, attributes));
}

/// Each number within `error` of what it must be.
void check_values(const Tensor& t, const Doubles& needed, double error) {
  const Doubles found = values(t);
  REQUIRE(found.size() == needed.size());
  for (std::size_t i = 0; i < needed.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(found[i] - needed[i]) <= error * std::max(1.0, std::abs(needed[i])));
  }
}

/// What `find` says of an answer that was computed with other attributes.
std::string found(const char* op, const std::string& kind, const Attributes& theirs) {
  const Case c = drawn(op_named(op), kind, 3, {}, {});
  Case other = c;
  for (const auto& [name, value] : theirs) other.attributes[name] = value;
  const Tensors outputs = run(op_named(op), other);
  CHECK(judge(op_named(op), c, outputs).agreement == Agreement::outside);
  return text(find(op_named(op), c, outputs), c);
}

bool says(const std::string& text, const std::string& word) { return text.find(word) != std::string::npos; }

std::string word(const char* w) { return w; }

}  // namespace

// One digit less than FP32 has.
constexpr double printed = 2e-7;

TEST_CASE("rope: [1, 0, 0, 0] at position 1, in all layouts") {
  const Tensors inputs{{"x", row({1, 0, 0, 0}, {1, 1, 4})}, {"positions", tensor(std::vector<std::int64_t>{1}, {1})}};
  const double c = std::cos(1), s = std::sin(1);
  check_values(answer("rope", inputs).at("y"), {c, s, 0, 0}, printed);
  check_values(answer("rope", inputs, {{"layout", word("half")}}).at("y"), {c, 0, s, 0}, printed);
  check_values(answer("rope", inputs, {{"layout", word("interleaved_to_half")}}).at("y"), {c, 0, s, 0}, printed);
  check_values(answer("rope", inputs, {{"direction", word("backward")}}).at("y"), {c, -s, 0, 0}, printed);
}

TEST_CASE("yarn_table: the frequencies and softmax scales of the released configurations") {
  const Tensors inputs{{"positions", tensor(std::vector<std::int64_t>{0}, {1})}};
  const Tensors v3 = answer("yarn_table", inputs), exact = answer("yarn_table", inputs, {{"angles", word("exact")}});
  for (const Tensors* t : {&v3, &exact}) {
    const Doubles f = values(t->at("f"));
    for (const auto& [i, f_i] : std::map<std::size_t, double>{{0, 1},
                                                              {10, 0.0562341325},
                                                              {11, 0.0390069266},
                                                              {12, 0.0268793601},
                                                              {15, 0.00833450895},
                                                              {16, 0.0055},
                                                              {20, 0.000790569415},
                                                              {22, 0.000177827941},
                                                              {23, 0.0000333380358},
                                                              {31, 0.00000333380358}}) {
      CAPTURE(i);
      CHECK(std::abs(f[i] / f_i - 1) < 4e-7);
    }
  }
  check_values(v3.at("softmax_scale"), {0.1352337789}, printed);
  const Attributes v2_lite{{"mscale", 0.707}, {"mscale_all_dim", 0.707}};
  check_values(answer("yarn_table", inputs, v2_lite).at("softmax_scale"), {0.1147213868}, printed);
  const Attributes short_model{{"max_length", Index{4096}}};
  check_values(answer("yarn_table", inputs, short_model).at("softmax_scale"), {0.0721687836}, printed);
}

TEST_CASE("rope: other systems' readings are found, and one that forms angles in FP32 is `released`, not `exact`") {
  CHECK(says(found("rope", "ordinary", {{"layout", word("half")}}), "equal bit for bit: layout=half instead"));
  CHECK(says(found("rope", "ordinary", {{"direction", word("backward")}}), "direction=backward"));
  CHECK(says(found("rope", "ordinary", {{"first_position", Index{1}}}), "first_position=1"));
  CHECK(says(found("rope", "ordinary", {{"ramp", word("unrounded")}}), "ramp=unrounded"));
  CHECK(says(found("rope", "ordinary", {{"interpolation", word("ntk")}}), "interpolation=ntk"));
  CHECK(says(found("rope", "ordinary", {{"tables", word("bf16")}}), "tables=bf16"));
  CHECK(says(found("rope", "not_extended", {{"applies", word("always")}}), "applies=always"));
  CHECK(says(found("rope", "ordinary", {{"layout", word("half")}, {"direction", word("backward")}}),
             "direction=backward instead of forward, layout=half instead"));
  CHECK(says(found("rope", "exact_angles", {{"angles", word("released")}}), "angles=released instead of exact"));
}

TEST_CASE("yarn_table: a temperature taken once, or of other widths, is found") {
  CHECK(says(found("yarn_table", "ordinary", {{"softmax_mscale", word("once")}}), "softmax_mscale=once"));
  CHECK(says(found("yarn_table", "ordinary", {{"softmax_width", word("latent")}}), "softmax_width=latent"));
  CHECK(says(found("yarn_table", "two_mscales", {{"cos_sin_factor", word("mscale")}}), "cos_sin_factor=mscale"));
  CHECK(says(found("yarn_table", "ordinary", {{"betas", word("swapped")}}), "betas=swapped"));
}

TEST_CASE("rope: positions and widths that cannot be are refused") {
  const auto refused = [](std::int64_t position, Index width, const Attributes& attributes) {
    const Tensors inputs{{"x", tensor(FloatMatrix::Zero(1, width), {1, 1, width})},
                         {"positions", tensor(std::vector<std::int64_t>{position}, {1})}};
    CHECK_THROWS_AS(answer("rope", inputs, attributes), std::invalid_argument);
    CHECK_THROWS_AS(answer("rope", inputs, {{"direction", word("backward")}}), std::invalid_argument);
  };
  refused(-1, 4, {});
  refused(163840, 4, {});
  refused(std::numeric_limits<std::int64_t>::max(), 4, {});
  refused(std::numeric_limits<std::int64_t>::min(), 4, {});
  refused(0, 3, {});
  CHECK_THROWS_AS(
      answer("yarn_table", {{"positions", tensor(std::vector<std::int64_t>{0}, {1})}}, {{"beta_fast", 0.5}}),
      std::invalid_argument);
}

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
