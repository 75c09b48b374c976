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

TEST_CASE("cross_entropy: by hand, tokens that do not count, and what is refused") {
  // softmax of [0, ln 3] is [1/4, 3/4].
  const float l = std::log(3.0f);
  const auto inputs = [&](std::vector<std::int64_t> targets) {
    return Tensors{{"logits", row({0, l, 0, l, 0, l}, {3, 2})}, {"targets", tensor(targets, {3})}};
  };
  const double quarter = std::log(4.0), most = std::log(4.0 / 3);
  check_values(answer("cross_entropy", inputs({0, 1, -1})).at("loss"), {(quarter + most) / 2}, printed);
  check_values(answer("cross_entropy", inputs({0, 1, -1})).at("losses"), {quarter, most, 0}, printed);
  check_values(answer("cross_entropy", inputs({-1, -1, -1})).at("loss"), {0}, 0);
  check_values(answer("cross_entropy", inputs({0, -100, 1}), {{"ignored", Index{-100}}}).at("loss"),
               {(quarter + most) / 2}, printed);
  check_values(answer("cross_entropy", inputs({0, 1, -1}), {{"reduction", word("mean_of_all")}}).at("loss"),
               {(quarter + most) / 3}, printed);
  Tensors with_dloss = inputs({0, 1, -1});
  with_dloss["dloss"] = row({2}, {});
  check_values(answer("cross_entropy_backward", with_dloss).at("dlogits"), {-0.75, 0.75, 0.25, -0.25, 0, 0}, printed);
  for (const std::int64_t wrong : {std::int64_t{2}, std::int64_t{-100}, std::int64_t{1} << 40}) {
    CHECK_THROWS_AS(answer("cross_entropy", inputs({0, 1, wrong})), std::invalid_argument);
    CHECK_THROWS_AS(answer("cross_entropy", inputs({0, 1, wrong}), {{"logits_rounding", word("bf16")}}),
                    std::invalid_argument);
  }
}

TEST_CASE("cross_entropy: sums, other divisors and BF16 logits are found") {
  for (const char* op : {"cross_entropy", "cross_entropy_backward"}) {
    CHECK(says(found(op, "ordinary", {{"reduction", word("sum")}}), "reduction=sum instead of mean"));
    CHECK(says(found(op, "ignored", {{"reduction", word("mean_of_all")}}), "reduction=mean_of_all"));
    CHECK(says(found(op, "ordinary", {{"logits_rounding", word("bf16")}}), "logits_rounding=bf16"));
  }
}

TEST_CASE("bias_update: counts [10, 2, 4, 8], equality, and 2^40 tokens more or less by one") {
  const auto updated = [](std::vector<std::int64_t> load, const Attributes& attributes = {}) {
    return answer("bias_update", {{"b", row({0, 0, 0, 0}, {4})}, {"load", tensor(load, {4})}}, attributes).at("b");
  };
  const double g = 0.001;
  check_values(updated({10, 2, 4, 8}), {-g, g, g, -g}, 1e-10);
  check_values(updated({6, 6, 5, 7}), {0, 0, g, -g}, 1e-10);
  check_values(updated({0, 0, 0, 0}), {0, 0, 0, 0}, 0);
  const std::int64_t many = std::int64_t{1} << 40;
  check_values(updated({many, many, many, many - 1}), {-g, -g, -g, g}, 1e-10);
  check_values(updated({10, 2, 4, 8}, {{"rule", word("proportional")}}), {-g * 4 / 6, g * 4 / 6, g * 2 / 6, -g * 2 / 6},
               1e-10);
  check_values(updated({10, 0, 4, 4}, {{"mean_over", word("loaded")}}), {-g, g, g, g}, 1e-10);
  CHECK_THROWS_AS(updated({-1, 1, 1, 1}), std::invalid_argument);
  CHECK_THROWS_AS(updated({many + 1, 1, 1, 1}), std::invalid_argument);
}

TEST_CASE("bias_update: other rules are found, and a bias in BF16, which does not move") {
  CHECK(says(found("bias_update", "ordinary", {{"direction", word("away")}}), "direction=away"));
  CHECK(says(found("bias_update", "ordinary", {{"rule", word("proportional")}}), "rule=proportional"));
  CHECK(says(found("bias_update", "ordinary", {{"centred", word("yes")}}), "centred=yes"));
  CHECK(says(found("bias_update", "idle", {{"mean_over", word("loaded")}}), "mean_over=loaded"));
  CHECK(says(found("bias_update", "released", {{"kept_in", word("bf16")}}), "kept_in=bf16"));
}

TEST_CASE("balance losses: the example on paper, sequence by sequence and as one batch") {
  const Tensors batch{{"s", row({.9F, .6F, .3F, .2F, .8F, .1F, .7F, .4F, .5F, .45F, .2F, .85F}, {3, 4})},
                      {"experts", tensor(std::vector<std::int64_t>{0, 1, 0, 2, 3, 0}, {3, 2})}};
  Tensors sequence = batch, split = batch;
  sequence["lengths"] = tensor(std::vector<std::int64_t>{3}, {1});
  split["lengths"] = tensor(std::vector<std::int64_t>{2, 0, 1}, {3});
  const Attributes alpha_1{{"alpha", 1.0}};
  for (const Tensors& t :
       {answer("batch_balance_loss", batch, alpha_1), answer("sequence_balance_loss", sequence, alpha_1),
        answer("batch_balance_loss", batch, {{"alpha", 1.0}, {"counted", word("routed")}})}) {
    check_values(t.at("loss"), {1.1555556}, printed);
    check_values(t.at("f"), {2, 2.0 / 3, 2.0 / 3, 2.0 / 3}, printed);
  }
  // Sequences of 2 tokens (f = [2, 1, 1, 0], P = [.425, .175, .25, .15]), of none, and of 1 (f = [2, 0, 0, 2]).
  check_values(answer("sequence_balance_loss", split, alpha_1).at("loss"), {1.275 + 1.35}, printed);
  Tensors wrong = split;
  wrong["lengths"] = tensor(std::vector<std::int64_t>{2, 2, -1}, {3});
  CHECK_THROWS_AS(answer("sequence_balance_loss", wrong), std::invalid_argument);
  wrong = batch;
  wrong["experts"] = tensor(std::vector<std::int64_t>{0, 1, 0, 2, 4, 0}, {3, 2});
  CHECK_THROWS_AS(answer("batch_balance_loss", wrong), std::invalid_argument);
}

TEST_CASE("balance losses: other factors, raw scores and routed counts are found, in the gradient too") {
  for (const char* op : {"sequence_balance_loss", "sequence_balance_loss_backward", "batch_balance_loss"}) {
    CAPTURE(op);
    CHECK(says(found(op, "ordinary", {{"f_scale", word("share")}}), "f_scale=share"));
    CHECK(says(found(op, "ordinary", {{"affinity", word("raw")}}), "affinity=raw"));
    CHECK(says(found(op, "ordinary", {{"counted", word("routed")}}), "counted=routed"));
    CHECK(says(found(op, "ordinary", {{"alpha", 1e-3}}), "alpha=0.001"));
  }
  CHECK(says(found("sequence_balance_loss", "ordinary", {{"over_sequences", word("mean")}}), "over_sequences=mean"));
}

TEST_CASE("adamw: the first step by hand, and BF16 moments") {
  const Tensors inputs{
      {"p", row({2, -1}, {2})}, {"g", row({1, -4}, {2})}, {"m", row({0, 0}, {2})}, {"v", row({0, 0}, {2})}};
  const Attributes first{{"step", Index{1}}, {"lr", 0.01}};
  const Tensors t = answer("adamw", inputs, first);
  check_values(t.at("p"), {2 - 0.01 * (1 + 0.2), -1 - 0.01 * (-1 - 0.1)}, printed);
  check_values(t.at("m"), {0.1, -0.4}, printed);
  check_values(t.at("v"), {0.05, 0.8}, printed);
  Attributes bf16 = first;
  bf16["moments"] = word("bf16");
  check_values(answer("adamw", inputs, bf16).at("m"), {0x1.9Ap-4, -0x1.9Ap-2}, 0);
  check_values(answer("adamw", inputs, bf16).at("p"), values(t.at("p")), 0);
  bf16["moments"] = word("bf16_truncated");
  check_values(answer("adamw", inputs, bf16).at("m"), {0x1.98p-4, -0x1.98p-2}, 0);
  Tensors negative = inputs;
  negative["v"] = row({0, -1}, {2});
  CHECK_THROWS_AS(answer("adamw", negative, first), std::invalid_argument);
  for (const char* beta : {"beta1", "beta2"})
    CHECK_THROWS_AS(answer("adamw", inputs, {{beta, 1.0}}), std::invalid_argument);
}

TEST_CASE("adamw: other decays, corrections, places of eps and roundings of the moments are found") {
  for (const char* decay : {"coupled", "without_lr"})
    CHECK(says(found("adamw", "ordinary", {{"decay", word(decay)}}), std::string("decay=") + decay));
  CHECK(says(found("adamw", "first", {{"decay", word("after")}, {"eps_place", word("before_correction")}}),
             "eps_place=before_correction"));
  CHECK(says(found("adamw", "small", {{"eps_place", word("inside_root")}}), "eps_place=inside_root"));
  CHECK(says(found("adamw", "small", {{"eps", 1e-6}}), "eps=1e-06 instead of 1e-08"));
  CHECK(says(found("adamw", "first", {{"bias_correction", word("none")}}), "bias_correction=none"));
  CHECK(says(found("adamw", "first", {{"step_shift", Index{1}}}), "step_shift=1"));
  CHECK(says(found("adamw", "bf16", {{"moments", word("fp32")}}), "moments=fp32"));
  CHECK(says(found("adamw", "bf16", {{"moments", word("bf16_truncated")}}), "moments=bf16_truncated"));
  CHECK(says(found("adamw", "bf16", {{"update_from", word("stored")}}), "update_from=stored"));
}

TEST_CASE("adamw: a BF16 moment may be the other neighbour of a tie, and only there") {
  const Op& op = op_named("adamw");
  const auto judged_with = [&](float g, float m_written) {  // m = 0.9 + 0.1 g, theirs as written
    const Tensors inputs{{"p", row({0}, {1})}, {"g", row({g}, {1})}, {"m", row({1}, {1})}, {"v", row({1}, {1})}};
    const Case c = checked(op, inputs, {{"moments", word("bf16")}});
    Tensors theirs = run(op, c);
    theirs["m"] = row({m_written}, {1});
    return judge(op, c, theirs).agreement != Agreement::outside;
  };
  const float tie = 1 + 10.0f / 256, below = 1, above = 1 + 1.0f / 128;
  CHECK((judged_with(tie, below) && judged_with(tie, above)));
  CHECK_FALSE(judged_with(tie, 1 + 2.0f / 128));
  CHECK((judged_with(1 + 9.9f / 256, below) && !judged_with(1 + 9.9f / 256, above)));
  CHECK((judged_with(1 + 10.1f / 256, above) && !judged_with(1 + 10.1f / 256, below)));
}

TEST_CASE("mtp_input: by hand, both orders") {
  // Norms of [3, 4] and [0, 2]: [3, 4] / sqrt(12.5) and [0, sqrt(2)].
  const Tensors inputs{{"h", row({3, 4}, {1, 2})},
                       {"e", row({0, 2}, {1, 2})},
                       {"g_h", row({1, 2}, {2})},
                       {"g_e", row({1, 10}, {2})},
                       {"M", row({1, 0, 0, 0, 0, 1, 0, 1}, {2, 4})}};
  const double h_0 = 3 / std::sqrt(12.5), h_1 = 2 * 4 / std::sqrt(12.5), e_1 = 10 * std::sqrt(2.0);
  check_values(answer("mtp_input", inputs).at("h_prime"), {h_0, h_1 + e_1}, 1e-6);
  check_values(answer("mtp_input", inputs, {{"order", word("embedding_hidden")}}).at("h_prime"), {0, e_1 + h_1}, 1e-6);
  check_values(answer("mtp_input", inputs, {{"norms", word("none")}}).at("h_prime"), {3, 4 + 2}, 0);
}

TEST_CASE("mtp_input: the other order, missing norms and other eps are found, forward and backward") {
  for (const char* op : {"mtp_input", "mtp_input_backward"}) {
    CAPTURE(op);
    CHECK(says(found(op, "ordinary", {{"order", word("embedding_hidden")}}), "order=embedding_hidden"));
    CHECK(says(found(op, "ordinary", {{"norms", word("hidden")}}), "norms=hidden"));
    CHECK(says(found(op, "small", {{"eps", 1e-5}}), "eps=1e-05"));
  }
}

TEST_CASE("linear: by hand; a transposed weight and other roundings are found") {
  const Tensors inputs{{"x", row({1, 257, 0, 1}, {2, 2})}, {"W", row({2, 1, -1, 1}, {2, 2})}};
  check_values(answer("linear", inputs).at("y"), {259, 256, 1, 1}, 0);
  check_values(answer("linear", inputs, {{"precision", word("bf16")}}).at("y"), {258, 255, 1, 1}, 0);  // 257 is 256
  check_values(answer("linear", inputs, {{"W_layout", word("in_out")}}).at("y"), {-255, 258, -1, 1}, 0);
  Tensors with_dy = inputs;
  with_dy["dy"] = row({1, 0, 0, 2}, {2, 2});
  check_values(answer("linear_backward", with_dy).at("dx"), {2, 1, -2, 2}, 0);
  check_values(answer("linear_backward", with_dy).at("dW"), {1, 257, 0, 2}, 0);
  for (const char* op : {"linear", "linear_backward"}) {
    CAPTURE(op);
    CHECK(says(found(op, "ordinary", {{"precision", word("bf16")}}), "precision=bf16"));
    CHECK(says(found(op, "bf16", {{"result", word("fp32")}}), "result=fp32"));
    CHECK(says(found(op, "square", {{"W_layout", word("in_out")}}), "W_layout=in_out"));
  }
  CHECK_THROWS_AS(
      answer("linear", drawn(op_named("linear"), "ordinary", 1, {}, {}).inputs, {{"W_layout", word("in_out")}}),
      std::invalid_argument);
}

TEST_CASE("permute and unpermute: three tokens by hand, one of which asks for an expert twice") {
  const Tensor experts = tensor(std::vector<std::int64_t>{2, 0, 2, 2, 0, 1}, {3, 2});
  const Tensors inputs{{"x", row({10, 20, 30}, {3, 1})}, {"experts", experts}};
  const Attributes four{{"N_r", Index{4}}};
  const Tensors t = answer("permute", inputs, four);
  check_values(t.at("rows"), {10, 30, 30, 10, 20, 20}, 0);
  CHECK(integers(t.at("counts")) == std::vector<std::int64_t>{2, 1, 3, 0});
  CHECK(integers(t.at("token_of_row")) == std::vector<std::int64_t>{0, 2, 2, 0, 1, 1});
  CHECK(integers(t.at("row_of")) == std::vector<std::int64_t>{3, 0, 4, 5, 1, 2});
  CHECK(integers(answer("permute", inputs, {{"N_r", Index{4}}, {"counts", word("offsets")}}).at("counts")) ==
        std::vector<std::int64_t>{0, 2, 3, 6});
  check_values(answer("permute", inputs, {{"N_r", Index{4}}, {"order", word("tokens_descending")}}).at("rows"),
               {30, 10, 30, 20, 20, 10}, 0);

  const Tensors back{{"experts", experts},
                     {"weights", row({0.5, 2, 1, 3, 0.25, 4}, {3, 2})},
                     {"rows", row({1, 2, 3, 4, 5, 6}, {6, 1})}};
  check_values(answer("unpermute", back, four).at("y"), {0.5 * 4 + 2 * 1, 5 + 3 * 6, 0.25 * 2 + 4 * 3}, 0);
  check_values(answer("unpermute", back, {{"N_r", Index{4}}, {"weighting", word("ignored")}}).at("y"), {5, 11, 5}, 0);
  check_values(answer("unpermute", back, {{"N_r", Index{4}}, {"duplicates", word("last")}}).at("y"), {4, 18, 12.5}, 0);
  Tensors with_dy = back;
  with_dy["dy"] = row({1, 10, 100}, {3, 1});
  const Tensors d = answer("unpermute_backward", with_dy, four);
  check_values(d.at("drows"), {2, 25, 400, 0.5, 10, 30}, 0);
  check_values(d.at("dweights"), {4, 1, 50, 60, 200, 300}, 0);

  for (const std::int64_t wrong : {std::int64_t{-1}, std::int64_t{4}, std::int64_t{1} << 62}) {
    Tensors refused = inputs, refused_back = back;
    refused["experts"] = refused_back["experts"] = tensor(std::vector<std::int64_t>{2, 0, 2, wrong, 0, 1}, {3, 2});
    for (const char* order : {"tokens", "slots"}) {
      const Attributes a{{"N_r", Index{4}}, {"order", word(order)}};
      CHECK_THROWS_AS(answer("permute", refused, a), std::invalid_argument);
      CHECK_THROWS_AS(answer("unpermute", refused_back, a), std::invalid_argument);
    }
  }
}

TEST_CASE("permute and unpermute: other orders and weights are found") {
  CHECK(says(found("permute", "ordinary", {{"order", word("slots")}}), "order=slots"));
  CHECK(says(found("permute", "ordinary", {{"counts", word("offsets")}}), "counts=offsets"));
  CHECK(says(found("unpermute", "ordinary", {{"order", word("tokens_descending")}}), "order=tokens_descending"));
  CHECK(says(found("unpermute", "ordinary", {{"weighting", word("ignored")}}), "weighting=ignored"));
  CHECK(says(found("unpermute", "duplicates", {{"duplicates", word("last")}}), "duplicates=last"));
  CHECK(says(found("unpermute", "ordinary", {{"weights_rounding", word("bf16")}}), "weights_rounding=bf16"));
  CHECK(says(found("unpermute_backward", "ordinary", {{"order", word("slots")}}), "order=slots"));
}

TEST_CASE("permute: the gradients of a token's rows may be added in any order, cancelling ones too") {
  const Op& op = op_named("permute_backward");
  const Tensors inputs{{"x", row({0}, {1, 1})},
                       {"experts", tensor(std::vector<std::int64_t>{0, 1, 2}, {1, 3})},
                       {"drows", row({1, -1, 1e-8F}, {3, 1})}};
  const Case c = checked(op, inputs, {});
  for (const float sum : {1e-8F, 0.0F})  // (1 - 1) + 1e-8 and (1e-8 + 1) - 1
    CHECK(judge(op, c, {{"dx", row({sum}, {1, 1})}}).agreement != Agreement::outside);
  CHECK(judge(op, c, {{"dx", row({1}, {1, 1})}}).agreement == Agreement::outside);
}

TEST_CASE("dequantise: by hand, and scales taken for divisors, read by columns or rounded are found") {
  const Codes q = (Codes(1, 3) << 0x38, 0xC4, 0x7E).finished();  // 1, -3, 448
  const Tensors inputs{{"q", tensor(Dtype::f8_e4m3, q)}, {"s", row({0.5}, {1, 1})}};
  check_values(answer("dequantise", inputs).at("x"), {0.5, -1.5, 224}, 0);
  check_values(answer("dequantise", inputs, {{"scale_use", word("divide")}}).at("x"), {2, -6, 896}, 0);
  CHECK(says(found("dequantise", "ordinary", {{"scale_use", word("divide")}}), "scale_use=divide"));
  CHECK(says(found("dequantise", "blocks", {{"scale_layout", word("transposed")}}), "scale_layout=transposed"));
  CHECK(says(found("dequantise", "ordinary", {{"scale_rounding", word("bf16")}}), "scale_rounding=bf16"));
  CHECK(says(found("dequantise", "ordinary", {{"result", word("bf16")}}), "result=bf16"));
  Tensors e5m6{{"q", tensor16(Dtype::i32, (Codes16(1, 2) << 0x3C0, 0xFFF).finished())}, {"s", row({4}, {1, 1})}};
  const Doubles numbers = values(answer("dequantise", e5m6, {{"format", word("e5m6")}}).at("x"));
  CHECK((numbers[0] == 4 && std::isnan(numbers[1])));
  e5m6["q"] = tensor16(Dtype::i32, (Codes16(1, 2) << 0x3C0, 0x1000).finished());
  CHECK_THROWS_AS(answer("dequantise", e5m6, {{"format", word("e5m6")}}), std::invalid_argument);
}

TEST_CASE("requantise: with powers of two no fraction changes; other scales and a step through BF16 are found") {
  const Op& op = op_named("requantise");
  const Case c = drawn(op, "powers", 1, {}, {});
  const Tensors ours = run(op, c);
  const Codes before = codes(c.in("q")), after = codes(ours.at("q"));
  for (Index i = 0; i < before.size(); ++i)
    if ((after.data()[i] & 0x78) > 0x08) CHECK((before.data()[i] & 0x87) == (after.data()[i] & 0x87));
  CHECK(says(found("requantise", "ordinary", {{"scale", word("ue8m0_ceil")}}), "scale=ue8m0_ceil"));
  CHECK(says(found("requantise", "ordinary", {{"dialect", word("deepseek_v32")}}), "dialect=deepseek_v32"));
  CHECK(says(found("requantise", "ordinary", {{"between", word("bf16")}}), "between=bf16"));
}

TEST_CASE("e5m6_pack and e5m6_unpack: eight codes in twelve bytes, in each order") {
  const Codes16 q = (Codes16(1, 8) << 0x012, 0x345, 0x678, 0x9AB, 0xCDE, 0xF01, 0x234, 0x567).finished();
  const Tensors inputs{{"codes", tensor16(Dtype::i32, q)}};
  const auto bytes = [&](const Attributes& a) { return integers(answer("e5m6_pack", inputs, a).at("words")); };
  using Bytes = std::vector<std::int64_t>;
  CHECK(bytes({{"bytes", word("big_endian")}}) ==
        Bytes{0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 0x01, 0x23, 0x45, 0x67});
  CHECK(bytes({}) == Bytes{0x67, 0x45, 0x23, 0x01, 0xEF, 0xCD, 0xAB, 0x89, 0x67, 0x45, 0x23, 0x01});
  CHECK(bytes({{"first_code", word("bottom")}}) ==
        Bytes{0x12, 0x50, 0x34, 0x78, 0xB6, 0x9A, 0xDE, 0x1C, 0xF0, 0x34, 0x72, 0x56});
  for (const char* first : {"top", "bottom"})
    for (const char* order : {"little_endian", "big_endian"}) {
      const Attributes a{{"first_code", word(first)}, {"bytes", word(order)}};
      Attributes back = a;
      back["N"] = Index{8};
      CHECK(codes16(answer("e5m6_unpack", answer("e5m6_pack", inputs, a), back).at("codes")) == q);
    }
  CHECK(says(found("e5m6_unpack", "ordinary", {{"first_code", word("bottom")}}), "first_code=bottom"));
  for (const std::int64_t wrong : {std::int64_t{4096}, std::int64_t{-1}, std::int64_t{1} << 40})
    CHECK_THROWS_AS(answer("e5m6_pack", {{"codes", tensor(std::vector<std::int64_t>{wrong}, {1, 1})}}),
                    std::invalid_argument);
}

TEST_CASE("cast: every format there is, 1.5 by its code") {
  const Tensors inputs{{"x", row({1.5}, {1, 1})}};
  const std::map<std::string, std::uint16_t> needed{{"e4m3", 0x3C},  {"e5m2", 0x3E}, {"e3m2", 0x0E},   {"e2m3", 0x0C},
                                                    {"e2m1", 0x03},  {"int8", 0x60}, {"bf16", 0x3FC0}, {"fp16", 0x3E00},
                                                    {"e5m6", 0x3E0}, {"ue8m0", 0x80}};
  for (const auto& [format, code] : needed) {
    CAPTURE(format);
    CHECK(codes16(answer("cast", inputs, {{"format", format}}).at("codes"))(0, 0) == code);
    CHECK(judge(op_named("cast"), drawn(op_named("cast"), "ties", 1, {}, {{"format", format}}),
                run(op_named("cast"), drawn(op_named("cast"), "ties", 1, {}, {{"format", format}})))
              .agreement == Agreement::bits);
  }
}

TEST_CASE("fp8 products: scales taken for divisors, and W's read by columns, are found, dense and grouped") {
  for (const char* op : {"fp8_fprop", "fp8_dgrad", "fp8_grouped_fprop", "fp8_grouped_dgrad"}) {
    CAPTURE(op);
    CHECK(says(found(op, "square", {{"scales", word("divide")}}), "scales=divide"));
    CHECK(says(found(op, "square", {{"W_scales", word("transposed")}}), "W_scales=transposed"));
  }
  for (const char* op : {"fp8_wgrad", "fp8_grouped_wgrad"})
    CHECK(says(found(op, "ordinary", {{"scales", word("divide")}}), "scales=divide"));
}

TEST_CASE("grouped fp8 products: each expert's rows are the dense product's, bit for bit") {
  const Op &grouped = op_named("fp8_grouped_fprop"), &dense = op_named("fp8_fprop");
  const Case c = drawn(grouped, "ragged", 4, {}, {});
  const FloatMatrix y = float_matrix(run(grouped, c).at("y")), x_s = float_matrix(c.in("x_s"));
  const Codes x = codes(c.in("x_q")), W = codes(c.in("W_q"));
  const FloatMatrix W_s = float_matrix(c.in("W_s"));
  const Index N = c.sizes.at("N"), s_rows = num_groups(N, 128);
  Index begin = 0;
  for (Index e = 0; e < c.sizes.at("E"); ++e) {
    const Index count = integers(c.in("counts"))[static_cast<std::size_t>(e)];
    const Tensors inputs{{"x_q", tensor(Dtype::f8_e4m3, Codes(x.middleRows(begin, count)))},
                         {"x_s", tensor(FloatMatrix(x_s.middleRows(begin, count)))},
                         {"W_q", tensor(Dtype::f8_e4m3, Codes(W.middleRows(e * N, N)))},
                         {"W_s", tensor(FloatMatrix(W_s.middleRows(e * s_rows, s_rows)))}};
    CHECK(float_matrix(run(dense, checked(dense, inputs, {})).at("y")) == y.middleRows(begin, count));
    begin += count;
  }
  Tensors wrong = c.inputs;
  for (const std::vector<std::int64_t>& counts :
       {std::vector<std::int64_t>{20, -1, 0}, {0, 0, 0}, {19, std::int64_t{1} << 62, 0}}) {
    wrong["counts"] = tensor(counts, {3});
    CHECK_THROWS_AS(answer("fp8_grouped_fprop", wrong), std::invalid_argument);
  }
  Tensors unaligned = drawn(op_named("fp8_grouped_wgrad"), "ordinary", 1, {}, {}).inputs;
  unaligned["counts"] = tensor(std::vector<std::int64_t>{100, 540, 0, 0}, {4});
  CHECK_THROWS_AS(answer("fp8_grouped_wgrad", unaligned), std::invalid_argument);
}
