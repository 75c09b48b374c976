// SPDX-License-Identifier: MIT
#include "reference/rope/frequencies.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <stdexcept>
#include <string>

using namespace dsv3;

namespace {

RopeConfig v3() { return {.width = 64, .theta = 10000, .max_length = 163840, .yarn = YarnConfig{}}; }

/// 1e-9: the tables give nine to ten digits
bool near(double value, double expected) { return std::abs(value - expected) <= 1e-9 * std::abs(expected); }

}  // namespace

TEST_CASE("frequencies: theta^(-2i/64) without YaRN") {
  RopeConfig config = v3();
  config.yarn.reset();
  const auto f = rope_frequencies(config);
  REQUIRE(f.size() == 32);
  CHECK(f[0] == 1);
  CHECK(near(f[11], 0.04216965034285822));
  CHECK(near(f[16], 0.01));
  CHECK(near(f[31], 0.0001333521432163324));
}

TEST_CASE("YaRN: the ramp of V3 goes from pair 10 to pair 23") {
  CHECK(yarn_ramp(v3()).low == 10);
  CHECK(yarn_ramp(v3()).high == 23);
}

TEST_CASE("YaRN: the frequencies of V3, section 4.3") {
  struct Row {
    std::size_t i;
    double frequency, ratio;
  };
  const std::array table{Row{0, 1, 1},
                         Row{10, 0.05623413251903491, 1},
                         Row{11, 0.03900692656714386, 0.925},
                         Row{12, 0.02687936011143123, 0.85},
                         Row{15, 0.008334508951020776, 0.625},
                         Row{16, 0.0055, 0.55},
                         Row{20, 0.0007905694150420949, 0.25},
                         Row{22, 0.000177827941003892, 0.1},
                         Row{23, 0.00003333803580408311, 0.025},
                         Row{31, 0.00000333380358040831, 0.025}};
  const auto f = rope_frequencies(v3());
  for (const Row& row : table) {
    CAPTURE(row.i);
    CHECK(near(f[row.i], row.frequency));
    CHECK(near(f[row.i] / std::pow(10000, -static_cast<double>(row.i) / 32), row.ratio));
  }
}

TEST_CASE("released frequencies: each within a few roundings of the exact one, and rounded in the released order") {
  const RopeConfig v3{.width = 64, .max_length = 163840, .yarn = YarnConfig{}};
  const std::vector<double> exact = rope_frequencies(v3);
  const std::vector<float> released = released_frequencies(v3);
  REQUIRE(released.size() == exact.size());
  for (std::size_t i = 0; i < exact.size(); ++i)  // p's exponent, p, the two quotients, their weights and sum
    CHECK(std::abs(double{released[i]} - exact[i]) <= 12 * 0x1p-24 * exact[i]);
  // By hand: p_1 = 10000^(1/32) rounds to 1.33352143, and pair 31 is 1 / (40 p) whole.
  CHECK(released[0] == 1);
  CHECK(released[1] == 1 / 1.33352143F);
  CHECK(released[31] == 1 / (40.0F * static_cast<float>(std::pow(10000.0, 31.0 / 32))));
  const RopeConfig plain{.width = 6, .max_length = 163840};  // 2/6 and 4/6 are no FP32 numbers
  CHECK(released_frequencies(plain)[2] == 1 / static_cast<float>(std::pow(10000.0, double{4.0F / 6.0F})));
}

TEST_CASE("YaRN: on iff max_length exceeds the original length; no prompt length enters") {
  RopeConfig config = v3();
  config.max_length = 4096;
  CHECK_FALSE(yarn_applies(config));
  CHECK(near(rope_frequencies(config)[31], 0.0001333521432163324));
  CHECK(near(softmax_scale(128, config), 0.0721687836));
  config.max_length = 4097;
  CHECK(yarn_applies(config));
  CHECK(near(rope_frequencies(config)[31], 0.00000333380358040831));
  CHECK(near(softmax_scale(128, config), 0.1352337789));
}

TEST_CASE("YaRN: where low and high meet, pairs up to there stay and the others are slowed down") {
  RopeConfig config{.width = 8, .theta = 10000, .max_length = 100, .yarn = YarnConfig{.original_length = 6}};
  CHECK(yarn_ramp(config).low == 0);
  CHECK(yarn_ramp(config).high == 0);
  const auto f = rope_frequencies(config);
  CHECK(f[0] == 1);
  CHECK(near(f[1], 0.1 / 40));
  CHECK(near(f[3], 0.001 / 40));
}

TEST_CASE("YaRN: a ramp may end beyond the last pair, at channel width - 1, and then no pair is wholly slowed down") {
  RopeConfig config{.width = 6, .theta = 10000, .max_length = 8192, .yarn = YarnConfig{.original_length = 4096}};
  for (const double beta_slow : {1e-3, 1e-4}) {  // ceil(6 ln(4096 / (2 pi beta)) / (2 ln 10000)) = 5 and 6
    CAPTURE(beta_slow);
    config.yarn->beta_slow = beta_slow;
    CHECK(yarn_ramp(config).low == 0);
    CHECK(yarn_ramp(config).high == 5);
    const auto f = rope_frequencies(config);
    REQUIRE(f.size() == 3);
    CHECK(f[0] == 1);
    CHECK(near(f[1], 0.04641588833612779 * (0.8 + 0.2 / 40)));  // 10000^(-1/3), ramp 1/5
    CHECK(near(f[2], 0.002154434690031884 * (0.6 + 0.4 / 40)));
  }
}

TEST_CASE("softmax scale: (128 + 64)^-1/2 mscale^2; V3 and V2 at m = 1, V2-Lite at 0.707") {
  CHECK(near(yarn_mscale(40, 1), 1.3688879454));
  CHECK(near(yarn_mscale(40, 0.707), 1.2608037774));
  CHECK(yarn_mscale(1, 1) == 1);
  RopeConfig config = v3();
  CHECK(near(softmax_scale(128, config), 0.1352337789));
  config.yarn->mscale = config.yarn->mscale_all_dim = 0.707;
  CHECK(near(softmax_scale(128, config), 0.1147213868));
  config.yarn.reset();
  CHECK(near(softmax_scale(128, config), 0.0721687836));
}

TEST_CASE("softmax scale: mscale_all_dim is in the logits, mscale / mscale_all_dim in cos and sin, never both in one") {
  RopeConfig config = v3();
  CHECK(cos_sin_factor(config) == 1);
  config.yarn->mscale = 0.707;
  CHECK(near(cos_sin_factor(config), 1.2608037774 / 1.3688879454));
  CHECK(near(softmax_scale(128, config), 0.1352337789));
  config.yarn->mscale_all_dim = 0;
  CHECK(near(cos_sin_factor(config), 1.2608037774));
  CHECK(near(softmax_scale(128, config), 0.0721687836));
  config.max_length = 4096;
  CHECK(cos_sin_factor(config) == 1);
}

TEST_CASE("RopeConfig: the first field that cannot be right is named") {
  const auto message = [](auto change) {
    RopeConfig config = v3();
    change(config);
    try {
      validate(config);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(message([](RopeConfig&) {}) == "");
  CHECK(message([](RopeConfig& c) { c.width = 7; }) == "RopeConfig: width is 7; it must be even, at least 2");
  CHECK(message([](RopeConfig& c) { c.width = 0; }).find("width is 0") != std::string::npos);
  CHECK(message([](RopeConfig& c) { c.theta = 1; }).find("theta is 1;") != std::string::npos);
  CHECK(message([](RopeConfig& c) { c.theta = NAN; }).find("theta is nan") != std::string::npos);
  CHECK(message([](RopeConfig& c) { c.max_length = 0; }).find("max_length is 0") != std::string::npos);
  CHECK(message([](RopeConfig& c) { c.yarn->factor = 0.5; }).find("yarn.factor is 0.5") != std::string::npos);
  CHECK(message([](RopeConfig& c) { c.yarn->original_length = 0; }).find("original_length") != std::string::npos);
  CHECK(message([](RopeConfig& c) { c.yarn->beta_fast = 0.5; }).find("yarn.beta_fast is 0.5") != std::string::npos);
  CHECK(message([](RopeConfig& c) { c.yarn->beta_slow = 0; }).find("yarn.beta_slow 0") != std::string::npos);
  CHECK(message([](RopeConfig& c) { c.yarn->mscale_all_dim = -1; }).find("mscale_all_dim -1") != std::string::npos);
}
