// SPDX-License-Identifier: MIT
#include "reference/rope/frequencies.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "reference/core/require.hpp"

namespace dsv3 {
namespace {

double frequency(const RopeConfig& config, Index i) {
  return std::pow(config.theta, -2.0 * static_cast<double>(i) / static_cast<double>(config.width));
}

double corr(const RopeConfig& config, double turns) {
  const double positions = static_cast<double>(config.yarn->original_length);
  return static_cast<double>(config.width) * std::log(positions / (turns * 2 * std::numbers::pi)) /
         (2 * std::log(config.theta));
}

}  // namespace

void validate(const RopeConfig& config) {
  const char* where = "RopeConfig";
  require(config.width >= 2 && config.width % 2 == 0, where, "width is ", config.width,
          "; it must be even, at least 2");
  require(std::isfinite(config.theta) && config.theta > 1, where, "theta is ", config.theta, "; it must be above 1");
  require(config.max_length >= 1, where, "max_length is ", config.max_length, "; it must be at least 1");
  if (!config.yarn) return;
  const YarnConfig& yarn = *config.yarn;
  require(std::isfinite(yarn.factor) && yarn.factor >= 1, where, "yarn.factor is ", yarn.factor,
          "; it must be at least 1");
  require(yarn.original_length >= 1, where, "yarn.original_length is ", yarn.original_length,
          "; it must be at least 1");
  require(yarn.beta_slow > 0 && yarn.beta_fast >= yarn.beta_slow && std::isfinite(yarn.beta_fast), where,
          "yarn.beta_fast is ", yarn.beta_fast, " and yarn.beta_slow ", yarn.beta_slow,
          "; they must be above 0, the fast one not below the slow one");
  require(
      std::isfinite(yarn.mscale) && yarn.mscale >= 0 && std::isfinite(yarn.mscale_all_dim) && yarn.mscale_all_dim >= 0,
      where, "yarn.mscale is ", yarn.mscale, " and yarn.mscale_all_dim ", yarn.mscale_all_dim,
      "; they must not be negative");
}

bool yarn_applies(const RopeConfig& config) { return config.yarn && config.max_length > config.yarn->original_length; }

YarnRamp yarn_ramp(const RopeConfig& config) {
  require(config.yarn.has_value(), "yarn_ramp", "the configuration has no yarn; it needs one");
  return {std::max(std::floor(corr(config, config.yarn->beta_fast)), 0.0),
          std::min(std::ceil(corr(config, config.yarn->beta_slow)), static_cast<double>(config.width - 1))};
}

namespace {

/// The ramp as it is divided by: not empty.
YarnRamp open_ramp(const RopeConfig& config) {
  YarnRamp ramp = yarn_ramp(config);
  if (ramp.low == ramp.high) ramp.high += 0.001;
  return ramp;
}

}  // namespace

std::vector<double> rope_frequencies(const RopeConfig& config) {
  validate(config);
  std::vector<double> f(static_cast<std::size_t>(config.width / 2));
  for (std::size_t i = 0; i < f.size(); ++i) f[i] = frequency(config, static_cast<Index>(i));
  if (!yarn_applies(config)) return f;
  const auto [low, high] = open_ramp(config);
  for (std::size_t i = 0; i < f.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    f[i] = f[i] / config.yarn->factor * ramp + f[i] * (1 - ramp);
  }
  return f;
}

std::vector<float> released_frequencies(const RopeConfig& config) {
  validate(config);
  const auto width = static_cast<float>(config.width);
  std::vector<float> f(static_cast<std::size_t>(config.width / 2));
  for (std::size_t i = 0; i < f.size(); ++i) {
    const float exponent = static_cast<float>(2 * i) / width;
    const auto p = static_cast<float>(std::pow(config.theta, static_cast<double>(exponent)));
    f[i] = 1 / p;
    if (!yarn_applies(config)) continue;
    const auto [low, high] = open_ramp(config);
    const float place = (static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low);
    const float m = 1 - std::clamp(place, 0.0F, 1.0F);
    const float slowed = 1 / (static_cast<float>(config.yarn->factor) * p);
    f[i] = slowed * (1 - m) + f[i] * m;
  }
  return f;
}

double yarn_mscale(double s, double m) { return 0.1 * m * std::log(s) + 1; }

double cos_sin_factor(const RopeConfig& config) {
  if (!yarn_applies(config)) return 1;
  const YarnConfig& yarn = *config.yarn;
  return yarn_mscale(yarn.factor, yarn.mscale) / yarn_mscale(yarn.factor, yarn.mscale_all_dim);
}

double softmax_scale(Index d_h, const RopeConfig& config) {
  const double plain = 1 / std::sqrt(static_cast<double>(d_h + config.width));
  if (!yarn_applies(config)) return plain;
  const double mscale = yarn_mscale(config.yarn->factor, config.yarn->mscale_all_dim);
  return plain * mscale * mscale;
}

}  // namespace dsv3
