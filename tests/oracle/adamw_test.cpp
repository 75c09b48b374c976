// SPDX-License-Identifier: MIT
#include "tests/oracle/answers.hpp"

using namespace dsv3;
using namespace dsv3::oracle;

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
  for (const char* decay : {"coupled", "without_lr", "none"})
    CHECK(says(found("adamw", "ordinary", {{"decay", word(decay)}}), std::string("decay=") + decay));
  CHECK(says(found("adamw", "first", {{"decay", word("after")}, {"eps_place", word("before_correction")}}),
             "eps_place=before_correction"));
  CHECK(says(found("adamw", "small", {{"eps_place", word("inside_root")}}), "eps_place=inside_root"));
  CHECK(says(found("adamw", "small", {{"eps", 1e-6}}), "eps=1e-06 instead of 1e-08"));
  CHECK(says(found("adamw", "first", {{"bias_correction", word("none")}}), "bias_correction=none"));
  CHECK(says(found("adamw", "first", {{"step_shift", Index{1}}}), "step_shift=1"));
  CHECK(says(found("adamw", "second", {{"step_shift", Index{-1}}}), "equal bit for bit: step_shift=-1"));
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

TEST_CASE("adamw: other readings by hand") {
  // From moments of 0 at step 1: m = 0.1 g, v = 0.05 g^2, m_hat = g, v_hat = g^2.
  const Tensors inputs{{"p", row({2}, {1})}, {"g", row({0.5}, {1})}, {"m", row({0}, {1})}, {"v", row({0}, {1})}};
  const auto p = [&](const Attributes& changes) {
    Attributes a{{"step", Index{1}}, {"lr", 0.01}, {"eps", 0.25}};
    for (const auto& [name, value] : changes) a[name] = value;
    return values(answer("adamw", inputs, a).at("p"))[0];
  };
  const auto near = [](double x, double needed) { return std::abs(x / needed - 1) < 2e-7; };
  const double g = 0.5, v = 0.05 * g * g, decay = 0.01 * 0.1 * 2;
  CHECK(near(p({}), 2 - 0.01 * g / (g + 0.25) - decay));
  CHECK(near(p({{"eps_place", word("inside_root")}}), 2 - 0.01 * g / std::sqrt(g * g + 0.25) - decay));
  CHECK(near(p({{"eps_place", word("before_correction")}}),
             2 - 0.01 * g / ((std::sqrt(v) + 0.25) / std::sqrt(0.05)) - decay));
  CHECK(near(p({{"bias_correction", word("none")}}), 2 - 0.01 * 0.1 * g / (std::sqrt(v) + 0.25) - decay));
  CHECK(near(p({{"bias_correction", word("first")}}), 2 - 0.01 * g / (std::sqrt(v) + 0.25) - decay));
  CHECK(near(p({{"decay", word("without_lr")}}), 2 - 0.01 * g / (g + 0.25) - 0.1 * 2));
  CHECK(near(p({{"decay", word("after")}}), (2 - 0.01 * g / (g + 0.25)) * (1 - 0.01 * 0.1)));
  CHECK(near(p({{"decay", word("coupled")}}), 2 - 0.01 * 0.7 / (0.7 + 0.25)));  // g + 0.1 * 2
  CHECK(near(p({{"decay", word("none")}}), 2 - 0.01 * g / (g + 0.25)));
  CHECK(near(p({{"step", Index{2}}, {"step_shift", Index{-1}}}), p({})));
  CHECK_THROWS_AS(p({{"step_shift", Index{-1}}}), std::invalid_argument);
  CHECK(near(p({{"gradient_scale", 2.0}}), 2 - 0.01 / (1 + 0.25) - decay));
}
