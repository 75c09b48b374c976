// SPDX-License-Identifier: MIT
#include <nlohmann/json.hpp>

#include "reference/checkpoint/hf_config.hpp"
#include "reference/core/require.hpp"

namespace dsv3 {

using nlohmann::ordered_json;

namespace {
constexpr std::string_view where = "hf_config_text";

/// Whether the gate is V3's; throws unless it is V3's or V2's.
bool is_v3_gate(const GateConfig& gate) {
  const bool v3 = gate.scoring == Scoring::sigmoid && gate.group_score == GroupScore::top2_sum;
  const bool v2 =
      gate.scoring == Scoring::softmax && gate.group_score == GroupScore::maximum && !gate.has_bias && !gate.normalise;
  require(v3 || v2, where,
          "the gate is neither V3's (sigmoid, top2_sum) nor V2's (softmax, maximum, no bias, not normalised); "
          "config.json has no other");
  return v3;
}

void require_expressible(const ModelConfig& m) {
  const GateConfig& gate = m.moe.gate;
  require(gate.N_r >= 1, where, "there are no routed experts; config.json needs n_routed_experts");
  require(m.moe.d_expert >= 1 && m.moe.d_shared >= m.moe.d_expert && m.moe.d_shared % m.moe.d_expert == 0, where,
          "d_shared is ", m.moe.d_shared, "; a multiple N_s >= 1 of d_expert, ", m.moe.d_expert, ", is needed");
  require(m.moe.d == m.mla.d, where, "moe.d is ", m.moe.d, " but mla.d is ", m.mla.d);
  require(m.mla.eps == 1e-6, where, "mla.eps is ", m.mla.eps, "; 1e-6 is what every loader of config.json uses");
}

ordered_json yarn_json(const YarnConfig& yarn) {
  ordered_json object = {{"factor", yarn.factor},
                         {"original_max_position_embeddings", yarn.original_length},
                         {"beta_fast", yarn.beta_fast},
                         {"beta_slow", yarn.beta_slow}};
  // Absent is how both are 1 and 0; any other pair with a zero means different things to different loaders.
  if (yarn.mscale == 1 && yarn.mscale_all_dim == 0) return object;
  require(yarn.mscale > 0 && yarn.mscale_all_dim > 0, where, "mscale is ", yarn.mscale, " and mscale_all_dim ",
          yarn.mscale_all_dim, "; both positive, or 1 and 0, are needed");
  object["mscale"] = yarn.mscale;
  object["mscale_all_dim"] = yarn.mscale_all_dim;
  return object;
}

void write_attention(ordered_json& j, const MlaConfig& mla) {
  j["hidden_size"] = mla.d;
  j["num_attention_heads"] = mla.n_h;
  j["num_key_value_heads"] = mla.n_h;
  j["qk_nope_head_dim"] = mla.d_h;
  j["qk_rope_head_dim"] = mla.rope.width;
  j["v_head_dim"] = mla.d_v;
  j["kv_lora_rank"] = mla.d_c;
  j["q_lora_rank"] = mla.d_c_prime == 0 ? ordered_json() : ordered_json(mla.d_c_prime);
}

void write_rope(ordered_json& j, const RopeConfig& rope) {
  j["rope_theta"] = rope.theta;
  j["rope_interleave"] = true;
  j["max_position_embeddings"] = rope.max_length;
  if (rope.angles == AngleDialect::exact) j["dsv3_rope_angles"] = "exact";
  j["rope_scaling"] = nullptr;
  if (!rope.yarn) return;
  ordered_json yarn = yarn_json(*rope.yarn);
  if (rope.max_length <= rope.yarn->original_length) {
    j["dsv3_yarn"] = yarn;
    return;
  }
  yarn["type"] = yarn["rope_type"] = "yarn";
  j["rope_scaling"] = yarn;
}

void write_moe(ordered_json& j, const MoeConfig& moe, bool is_v3) {
  const GateConfig& gate = moe.gate;
  j["moe_intermediate_size"] = moe.d_expert;
  j["n_shared_experts"] = moe.d_shared / moe.d_expert;
  j["n_routed_experts"] = gate.N_r;
  j["num_experts_per_tok"] = gate.K_r;
  j["n_group"] = gate.num_groups;
  j["topk_group"] = gate.kept_groups;
  j["topk_method"] = is_v3 ? "noaux_tc" : gate.num_groups == 1 ? "greedy" : "group_limited_greedy";
  j["scoring_func"] = is_v3 ? "sigmoid" : "softmax";
  j["norm_topk_prob"] = gate.normalise;
  j["routed_scaling_factor"] = gate.routed_scaling_factor;
  j["moe_layer_freq"] = 1;
  if (is_v3 && !gate.has_bias) j["dsv3_gate_bias"] = false;
}

void write_mtp(ordered_json& j, const ModelConfig& m) {
  j["num_nextn_predict_layers"] = m.D;
  if (m.mtp_order == MtpOrder::hidden_embedding) {
    j["dsv3_mtp_order"] = "hidden_embedding";
    j["mtp_hidden_states_first"] = true;
  }
  if (!m.mtp_reads_normed) j["dsv3_mtp_reads_normed"] = false;
}

const char* torch_name(Dtype stored) {
  switch (stored) {
    case Dtype::f64:
      return "float64";
    case Dtype::f32:
      return "float32";
    case Dtype::bf16:
      return "bfloat16";
    default:
      require(false, where, name(stored), " is not a type weights are written in");
  }
  return nullptr;
}
}  // namespace

std::string hf_config_text(const ModelConfig& m, Dtype stored, const TextEnds& ends) {
  require_expressible(m);
  const bool is_v3 = is_v3_gate(m.moe.gate);
  ordered_json j;
  j["architectures"] = {is_v3 ? "DeepseekV3ForCausalLM" : "DeepseekV2ForCausalLM"};
  j["model_type"] = is_v3 ? "deepseek_v3" : "deepseek_v2";
  j["torch_dtype"] = torch_name(stored);
  j["vocab_size"] = m.V;
  j["num_hidden_layers"] = m.L;
  j["first_k_dense_replace"] = m.num_dense_layers;
  j["intermediate_size"] = m.d_dense;
  j["hidden_act"] = "silu";
  j["rms_norm_eps"] = m.eps;
  j["initializer_range"] = m.init_std;
  if (m.init_std != ModelConfig{}.init_std) j["dsv3_init_std"] = m.init_std;
  j["attention_bias"] = false;
  j["attention_dropout"] = 0.0;
  j["tie_word_embeddings"] = false;
  j["bos_token_id"] = ends.begin ? ordered_json(*ends.begin) : ordered_json();
  j["eos_token_id"] = ends.end ? ordered_json(*ends.end) : ordered_json();
  write_attention(j, m.mla);
  write_rope(j, m.mla.rope);
  write_moe(j, m.moe, is_v3);
  write_mtp(j, m);
  return j.dump(2) + "\n";
}

}  // namespace dsv3
