// SPDX-License-Identifier: MIT
#include "reference/model/config.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "reference/core/require.hpp"
#include "reference/mla/mla.hpp"
#include "reference/moe/moe.hpp"

namespace dsv3 {

MoeConfig ModelConfig::ffn(Index layer) const {
  if (layer >= num_dense_layers) return moe;
  return {.d = moe.d, .d_shared = d_dense, .d_expert = 0, .gate = {.N_r = 0}};
}

namespace {

void in_range(const char* name, Index value, Index least, Index most) {
  require(value >= least && value <= most, "config", name, " is ", value, "; it must be ", least, " to ", most);
}

/// Every side of every matrix; what is multiplied here has passed the rules of its part, so it is not negative.
void validate_sides(const ModelConfig& c) {
  for (const auto& [name, side] :
       std::initializer_list<std::pair<const char*, Index>>{{"d", c.mla.d},
                                                            {"n_h", c.mla.n_h},
                                                            {"d_h", c.mla.d_h},
                                                            {"d_v", c.mla.d_v},
                                                            {"the rotary width", c.mla.rope.width},
                                                            {"d_c", c.mla.d_c},
                                                            {"d_c_prime", c.mla.d_c_prime},
                                                            {"d_dense", c.d_dense},
                                                            {"d_shared", c.moe.d_shared},
                                                            {"d_expert", c.moe.d_expert},
                                                            {"N_r", c.moe.gate.N_r}})
    require(side <= max_side, "config", name, " is ", side, "; it must be at most ", max_side);
  const Index widest = std::max({c.mla.d_h, c.mla.d_v, c.mla.rope.width});
  require(c.mla.n_h * widest <= max_side, "config", "n_h is ", c.mla.n_h, " and the widest of a head's parts ", widest,
          "; their product must be at most ", max_side);
}

}  // namespace

void validate(const ModelConfig& c) {
  in_range("V", c.V, 1, max_side);
  in_range("L", c.L, 1, max_layers);
  in_range("D", c.D, 0, max_layers - c.L);
  in_range("num_dense_layers", c.num_dense_layers, 0, c.L);
  validate(c.mla);
  if (c.num_dense_layers > 0) validate(c.ffn(0));
  const Index sparse = c.L - c.num_dense_layers + c.D;
  if (sparse > 0) {
    require(c.moe.d == c.mla.d, "config", "moe.d is ", c.moe.d, " but mla.d is ", c.mla.d, "; they must be equal");
    require(c.moe.gate.N_r >= 1, "config", "N_r is ", c.moe.gate.N_r, "; layers that are not dense need experts");
    validate(c.moe);
  }
  validate_sides(c);
  require(sparse * c.moe.gate.N_r <= max_experts, "config", "N_r is ", c.moe.gate.N_r, " in each of ", sparse,
          " layers; there must be at most ", max_experts, " experts in all");
  require(std::isfinite(c.eps) && c.eps >= 0, "config", "eps is ", c.eps, "; it must not be negative");
}

namespace {

/// The attention of the published models: heads of 128 + 64, a latent of 512, 160K positions by YaRN.
MlaConfig published_attention(Index d, Index n_h, Index d_c_prime, double mscale) {
  return {.d = d,
          .n_h = n_h,
          .d_h = 128,
          .d_v = 128,
          .d_c = 512,
          .d_c_prime = d_c_prime,
          .rope = {.width = 64,
                   .max_length = 163840,
                   .yarn = YarnConfig{.mscale = mscale, .mscale_all_dim = mscale},
                   .angles = AngleDialect::released}};
}

MoeConfig published_moe(Index d, Index N_s, Index d_expert, const GateConfig& gate) {
  return {.d = d, .d_shared = N_s * d_expert, .d_expert = d_expert, .gate = gate};
}

GateConfig v2_gate(Index N_r, Index num_groups, Index kept_groups, double scale) {
  return {.N_r = N_r,
          .K_r = 6,
          .num_groups = num_groups,
          .kept_groups = kept_groups,
          .scoring = Scoring::softmax,
          .group_score = GroupScore::maximum,
          .has_bias = false,
          .normalise = false,
          .routed_scaling_factor = scale};
}

ModelConfig v3() {
  const GateConfig gate{.N_r = 256, .K_r = 8, .num_groups = 8, .kept_groups = 4, .routed_scaling_factor = 2.5};
  return {.V = 129280,
          .L = 61,
          .num_dense_layers = 3,
          .d_dense = 18432,
          .mla = published_attention(7168, 128, 1536, 1),
          .moe = published_moe(7168, 1, 2048, gate),
          .D = 1,
          .mtp_order = MtpOrder::embedding_hidden};
}

ModelConfig v2() {
  return {.V = 102400,
          .L = 60,
          .num_dense_layers = 1,
          .d_dense = 12288,
          .mla = published_attention(5120, 128, 1536, 1),
          .moe = published_moe(5120, 2, 1536, v2_gate(160, 8, 3, 16))};
}

ModelConfig v2_lite() {
  return {.V = 102400,
          .L = 27,
          .num_dense_layers = 1,
          .d_dense = 10944,
          .mla = published_attention(2048, 16, 0, 0.707),
          .moe = published_moe(2048, 2, 1408, v2_gate(64, 1, 1, 1))};
}

/// A V3 in miniature: every mechanism of the large one is there and can go wrong.
ModelConfig small(Index V, Index L, Index d, Index n_h, Index N_r, Index d_expert) {
  const Index d_h = d / n_h;
  return {.V = V,
          .L = L,
          .num_dense_layers = 1,
          .d_dense = 3 * d,
          .mla = {.d = d,
                  .n_h = n_h,
                  .d_h = d_h,
                  .d_v = d_h,
                  .d_c = d / 4,
                  .d_c_prime = d / 2,
                  .rope = {.width = d_h / 2, .max_length = 512, .yarn = {}}},
          .moe = {.d = d,
                  .d_shared = d_expert,
                  .d_expert = d_expert,
                  .gate = {.N_r = N_r, .K_r = 4, .num_groups = 4, .kept_groups = 2, .routed_scaling_factor = 2.5}},
          .D = 1,
          .init_std = 0.02};
}

using Maker = std::pair<const char*, std::function<ModelConfig()>>;

const std::vector<Maker>& makers() {
  static const std::vector<Maker> all = {
      {"v3", v3},
      {"v2", v2},
      {"v2-lite", v2_lite},
      {"tiny", [] { return small(512, 2, 64, 4, 16, 32); }},      // tests: a step takes milliseconds
      {"tour", [] { return small(2048, 3, 128, 4, 16, 64); }},    // what `dsv3 tour` trains
      {"small", [] { return small(4096, 4, 256, 8, 32, 128); }},  // 13 million parameters: an evening on a laptop
  };
  return all;
}

}  // namespace

std::vector<std::string> config_names() {
  std::vector<std::string> names;
  for (const Maker& maker : makers()) names.emplace_back(maker.first);
  return names;
}

ModelConfig config_by_name(const std::string& name) {
  std::string known;
  for (const auto& [known_name, make] : makers()) {
    if (name == known_name) return make();
    known += (known.empty() ? "" : ", ") + std::string(known_name);
  }
  throw std::invalid_argument(concat("config: there is no configuration '", name, "'; there are ", known));
}

}  // namespace dsv3
