// SPDX-License-Identifier: MIT
/// \file
/// How fast each pair of rotary channels turns, and what YaRN makes of it (section 4.3).
#pragma once
#include <vector>

#include "reference/rope/config.hpp"

namespace dsv3 {

/// Throws std::invalid_argument naming the first field that cannot be right and what it needs.
void validate(const RopeConfig& config);

/// Whether YaRN changes anything: it is configured and max_length > original_length. The length of the prompt at hand
/// has no say in it.
bool yarn_applies(const RopeConfig& config);

/// The frequencies between which YaRN goes from "as trained" (up to low) to "slowed down s times" (from high on).
struct YarnRamp {
  double low = 0, high = 0;
};

/// low = max(floor(corr(beta_fast)), 0), high = min(ceil(corr(beta_slow)), width - 1) and
/// corr(r) = width ln(original_length / (2 pi r)) / (2 ln theta): the (real) index of the pair that makes r turns over
/// the original length. Needs config.yarn.
YarnRamp yarn_ramp(const RopeConfig& config);

/// f_i in radians per position, i = 0 .. width/2 - 1.
/// Plain: f_i = theta^(-2i / width). YaRN: f_i (ramp_i / s + 1 - ramp_i), ramp_i = clamp((i - low) / (high - low), 0,
/// 1) and high + 0.001 for high where both are equal.
///
/// Numerics contract: double. Differs from the report: it says that YaRN is used on the shared key k_R only; the
/// released code uses the same frequencies for q_R (it must: the score would not depend on the distance alone).
std::vector<double> rope_frequencies(const RopeConfig& config);

/// The same frequencies in FP32, as released: p_i = theta^(2i / width) and 1 / p_i; with YaRN
/// 1 / (s p_i) (1 - m_i) + 1 / p_i m_i, m_i = 1 - ramp_i.
///
/// Numerics contract: float, whatever `real` is. Every operation is rounded once, p_i correctly; low and high of the
/// ramp are double. PyTorch's power of FP32 numbers differs from the rounded one in the last bit in 1 of 100 cases
/// (none at theta = 10000 and widths of 4 to 64). Differs from the report: the released inference demo divides 1 / p_i
/// by s where the code released with the weights divides 1 by s p_i, as here: a last bit.
std::vector<float> released_frequencies(const RopeConfig& config);

/// 0.1 m ln(s) + 1, the temperature of YaRN at m. The V3 report prints it at m = 1, the V2 paper at m = 0.707.
double yarn_mscale(double s, double m);

/// What cos and sin are multiplied by: yarn_mscale(s, mscale) / yarn_mscale(s, mscale_all_dim), 1 without YaRN and in
/// every released configuration. Only Hugging Face's code has it; the official code knows one mscale.
double cos_sin_factor(const RopeConfig& config);

/// The factor on the WHOLE logit of Eq. (10), content and rotary part alike:
/// (d_h + d_h^R)^(-1/2) yarn_mscale(s, mscale_all_dim)^2; without the square where YaRN does not apply.
/// \param d_h content width of a head
/// Differs from the report: Eq. (10) prints (d_h + d_h^R)^(-1/2) alone.
double softmax_scale(Index d_h, const RopeConfig& config);

}  // namespace dsv3
