// SPDX-License-Identifier: MIT
#include "reference/model/config.hpp"

#include <functional>
#include <utility>

#include "reference/core/require.hpp"

namespace dsv3 {

MoeConfig ModelConfig::ffn(Index layer) const {
  if (layer >= num_dense_layers) return moe;
  return {.d = moe.d, .d_shared = d_dense, .d_expert = 0, .gate = {.N_r = 0}};
}

namespace {

void at_least_one(const char* name, Index value) {
  require(value >= 1, "config", name, " is ", value, "; it must be at least 1");
}

void validate_attention(const MlaConfig& mla) {
  at_least_one("d", mla.d);
  at_least_one("n_h", mla.n_h);
  at_least_one("d_h", mla.d_h);
  at_least_one("d_v", mla.d_v);
  at_least_one("d_c", mla.d_c);
  require(mla.d_c_prime >= 0, "config", "d_c_prime is ", mla.d_c_prime, "; it must be 0 (no query latent) or more");
  require(mla.rope.width >= 2 && mla.rope.width % 2 == 0, "config", "the rotary width is ", mla.rope.width,
          "; it must be even and at least 2");
  require(mla.rope.theta > 1, "config", "rope theta is ", mla.rope.theta, "; it must be above 1");
  require(mla.eps > 0, "config", "eps is ", mla.eps, "; it must be positive");
  at_least_one("max_length", mla.rope.max_length);
}

void validate_gate(const GateConfig& gate) {
  at_least_one("num_groups", gate.num_groups);
  require(gate.N_r >= 1 && gate.N_r % gate.num_groups == 0, "config", gate.N_r, " routed experts do not divide into ",
          gate.num_groups, " groups; N_r must be a positive multiple of num_groups");
  require(gate.kept_groups >= 1 && gate.kept_groups <= gate.num_groups, "config", "kept_groups is ", gate.kept_groups,
          "; it must be 1 to num_groups = ", gate.num_groups);
  const Index group_size = gate.N_r / gate.num_groups;
  require(gate.K_r >= 1 && gate.K_r <= gate.kept_groups * group_size, "config", "K_r is ", gate.K_r, "; the ",
          gate.kept_groups, " kept groups of ", group_size, " experts allow 1 to ", gate.kept_groups * group_size);
  require(gate.group_score == GroupScore::maximum || gate.num_groups == 1 || group_size >= 2, "config",
          "groups of one expert have no two best; use more experts per group or GroupScore::maximum");
}

}  // namespace

void validate(const ModelConfig& c) {
  at_least_one("V", c.V);
  at_least_one("L", c.L);
  validate_attention(c.mla);
  require(c.num_dense_layers >= 0 && c.num_dense_layers <= c.L, "config", "num_dense_layers is ", c.num_dense_layers,
          "; it must be 0 to L = ", c.L);
  if (c.num_dense_layers > 0) at_least_one("d_dense", c.d_dense);
  require(c.D >= 0, "config", "MTP depth D is ", c.D, "; it must be 0 or more");
  if (c.num_dense_layers == c.L && c.D == 0) return;
  require(c.moe.d == c.mla.d, "config", "moe.d is ", c.moe.d, " but mla.d is ", c.mla.d, "; they must be equal");
  require(c.moe.d_shared >= 0, "config", "d_shared is ", c.moe.d_shared, "; it must be 0 (no shared expert) or more");
  at_least_one("d_expert", c.moe.d_expert);
  validate_gate(c.moe.gate);
}

namespace {

ModelConfig v3() {
  return {.V = 129280,
          .L = 61,
          .num_dense_layers = 3,
          .d_dense = 18432,
          .mla = {.d = 7168,
                  .n_h = 128,
                  .d_h = 128,
                  .d_v = 128,
                  .d_c = 512,
                  .d_c_prime = 1536,
                  .rope = {.width = 64, .max_length = 163840, .yarn = YarnConfig{}}},
          .moe = {.d = 7168,
                  .d_shared = 2048,
                  .d_expert = 2048,
                  .gate = {.N_r = 256, .K_r = 8, .num_groups = 8, .kept_groups = 4, .routed_scaling_factor = 2.5}},
          .D = 1,
          .mtp_order = MtpOrder::embedding_hidden};
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

ModelConfig v2() {
  return {.V = 102400,
          .L = 60,
          .num_dense_layers = 1,
          .d_dense = 12288,
          .mla = {.d = 5120,
                  .n_h = 128,
                  .d_h = 128,
                  .d_v = 128,
                  .d_c = 512,
                  .d_c_prime = 1536,
                  .rope = {.width = 64, .max_length = 163840, .yarn = YarnConfig{}}},
          .moe = {.d = 5120, .d_shared = 2 * 1536, .d_expert = 1536, .gate = v2_gate(160, 8, 3, 16)}};
}

ModelConfig v2_lite() {
  return {.V = 102400,
          .L = 27,
          .num_dense_layers = 1,
          .d_dense = 10944,
          .mla = {.d = 2048,
                  .n_h = 16,
                  .d_h = 128,
                  .d_v = 128,
                  .d_c = 512,
                  .d_c_prime = 0,
                  .rope = {.width = 64,
                           .max_length = 163840,
                           .yarn = YarnConfig{.mscale = 0.707, .mscale_all_dim = 0.707}}},
          .moe = {.d = 2048, .d_shared = 2 * 1408, .d_expert = 1408, .gate = v2_gate(64, 1, 1, 1)}};
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
