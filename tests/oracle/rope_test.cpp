// SPDX-License-Identifier: MIT
#include "tests/oracle/answers.hpp"

using namespace dsv3;
using namespace dsv3::oracle;

TEST_CASE("rope: [1, 0, 0, 0] at position 1, in all layouts") {
  const Tensors inputs{{"x", row({1, 0, 0, 0}, {1, 1, 4})}, {"positions", tensor(std::vector<std::int64_t>{1}, {1})}};
  const double c = std::cos(1), s = std::sin(1);
  check_values(answer("rope", inputs).at("y"), {c, s, 0, 0}, printed);
  check_values(answer("rope", inputs, {{"layout", word("half")}}).at("y"), {c, 0, s, 0}, printed);
  check_values(answer("rope", inputs, {{"layout", word("interleaved_to_half")}}).at("y"), {c, 0, s, 0}, printed);
  check_values(answer("rope", inputs, {{"direction", word("backward")}}).at("y"), {c, -s, 0, 0}, printed);
}

TEST_CASE("rope: all in BF16, each product and sum, forward and backward, by hand") {
  const auto bf16 = [](double x) { return double{decode(FormatId::bf16, encode(FormatId::bf16, float(x)))}; };
  const float a = 1.2345f, b = -0.7654f;
  const double c = bf16(std::cos(1)), s = bf16(std::sin(1)), p = bf16(a), q = bf16(b);
  const Tensor pair = row({a, b}, {1, 1, 2}), position = tensor(std::vector<std::int64_t>{1}, {1});
  const Attributes all_bf16{{"rotation", word("bf16")}};
  check_values(answer("rope", {{"x", pair}, {"positions", position}}, all_bf16).at("y"),
               {bf16(bf16(p * c) - bf16(q * s)), bf16(bf16(p * s) + bf16(q * c))}, 0);
  check_values(answer("rope_backward", {{"x", pair}, {"dy", pair}, {"positions", position}}, all_bf16).at("dx"),
               {bf16(bf16(p * c) + bf16(q * s)), bf16(bf16(q * c) - bf16(p * s))}, 0);
}

TEST_CASE("yarn_table: the frequencies and softmax scales of the released configurations") {
  const Tensors inputs{{"positions", tensor(std::vector<std::int64_t>{0}, {1})}};
  const Tensors v3 = answer("yarn_table", inputs), exact = answer("yarn_table", inputs, {{"angles", word("exact")}});
  for (const Tensors* t : {&v3, &exact}) {
    const Doubles f = values(t->at("f"));
    for (const auto& [pair, f_i] : std::map<std::size_t, double>{{0, 1},
                                                                 {10, 0.0562341325},
                                                                 {11, 0.0390069266},
                                                                 {12, 0.0268793601},
                                                                 {15, 0.00833450895},
                                                                 {16, 0.0055},
                                                                 {20, 0.000790569415},
                                                                 {22, 0.000177827941},
                                                                 {23, 0.0000333380358},
                                                                 {31, 0.00000333380358}}) {
      const std::size_t i = pair;
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
  CHECK(says(found("rope", "ordinary", {{"frequencies", word("bf16")}}), "frequencies=bf16 instead"));
  CHECK(says(found("rope", "exact_angles", {{"frequencies", word("bf16")}}), "frequencies=bf16 instead"));
  CHECK(says(found("yarn_table", "ordinary", {{"frequencies", word("bf16")}}), "frequencies=bf16 instead"));
  for (const char* op : {"rope", "rope_backward"}) {
    CHECK(says(found(op, "ordinary", {{"rotation", word("bf16")}}), "equal bit for bit: rotation=bf16 instead"));
    CHECK(says(found(op, "ordinary", {{"frequencies", word("bf16")}, {"rotation", word("bf16")}}),
               "equal bit for bit: frequencies=bf16 instead of fp32, rotation=bf16"));
  }
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

TEST_CASE("yarn_table: the frequencies of other readings, by hand") {
  const Tensors inputs{{"positions", tensor(std::vector<std::int64_t>{0}, {1})}};
  const auto f = [&](const Attributes& a, std::size_t i) { return values(answer("yarn_table", inputs, a).at("f"))[i]; };
  const auto near = [](double x, double needed) { return std::abs(x / needed - 1) < 4e-7; };
  const double f_16 = 0.01, f_31 = 0.000133352143;
  CHECK(near(f({{"interpolation", word("none")}}, 16), f_16));
  CHECK(near(f({{"interpolation", word("linear")}}, 16), f_16 / 40));
  CHECK(near(f({{"interpolation", word("ntk")}}, 31), f_31 / 40));  // the slowest pair is slowed down s times, ...
  CHECK(near(f({{"interpolation", word("ntk")}}, 0), 1));           // ... the fastest not at all
  // corr(32) = 10.47224 and corr(1) = 22.51344.
  const double share = (16 - 10.47224) / (22.51344 - 10.47224);
  CHECK(std::abs(f({{"ramp", word("unrounded")}}, 16) / (f_16 / 40 * share + f_16 * (1 - share)) - 1) < 1e-5);
  CHECK(near(f({{"ramp", word("over_channels")}}, 8), 0.1 / 40 * 6 / 13 + 0.1 * 7 / 13));
  CHECK(near(f({{"applies", word("prompt_above_original")}}, 16), f_16));
  CHECK(near(f({{"max_length", Index{4096}}}, 16), f_16));
  CHECK(f({{"max_length", Index{4096}}, {"frequencies", word("bf16")}}, 16) == 0x1.48p-7);
  CHECK(near(f({{"max_length", Index{4096}}, {"applies", word("always")}}, 16), 0.0055));
  const Doubles cos_0 = values(answer("yarn_table", inputs, {{"cos_sin_factor", word("mscale")}}).at("cos"));
  CHECK(near(cos_0[0], 1.3688879454));
}
