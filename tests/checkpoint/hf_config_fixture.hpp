// SPDX-License-Identifier: MIT
/// \file
/// Published config.json files, and what parse_hf_config says about changed ones.
#pragma once
#include <nlohmann/json.hpp>

#include "reference/checkpoint/hf_config.hpp"
#include "tests/checkpoint/scratch.hpp"

namespace dsv3::test {

using nlohmann::json;

/// The fields of the released V3, section 1.11 of the published configurations.
inline json v3() {
  return json::parse(R"({
    "architectures": ["DeepseekV3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
    "auto_map": {"AutoConfig": "x"}, "aux_loss_alpha": 0.001, "bos_token_id": 0, "eos_token_id": 1, "ep_size": 1,
    "first_k_dense_replace": 3, "hidden_act": "silu", "hidden_size": 7168, "initializer_range": 0.02,
    "intermediate_size": 18432, "kv_lora_rank": 512, "max_position_embeddings": 163840, "model_type": "deepseek_v3",
    "moe_intermediate_size": 2048, "moe_layer_freq": 1, "n_group": 8, "n_routed_experts": 256, "n_shared_experts": 1,
    "norm_topk_prob": true, "num_attention_heads": 128, "num_experts_per_tok": 8, "num_hidden_layers": 61,
    "num_key_value_heads": 128, "num_nextn_predict_layers": 1, "pretraining_tp": 1, "q_lora_rank": 1536,
    "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
    "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
                            "weight_block_size": [128, 128]},
    "rms_norm_eps": 1e-06,
    "rope_scaling": {"beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 1.0, "mscale_all_dim": 1.0,
                     "original_max_position_embeddings": 4096, "type": "yarn"},
    "rope_theta": 10000, "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "seq_aux": true,
    "tie_word_embeddings": false, "topk_group": 4, "topk_method": "noaux_tc", "torch_dtype": "bfloat16",
    "transformers_version": "4.33.1", "use_cache": true, "v_head_dim": 128, "vocab_size": 129280})");
}

inline json v2_lite() {
  json j = v3();
  j.merge_patch(json::parse(R"({"model_type": "deepseek_v2", "vocab_size": 102400, "hidden_size": 2048,
    "intermediate_size": 10944, "moe_intermediate_size": 1408, "num_hidden_layers": 27, "first_k_dense_replace": 1,
    "num_attention_heads": 16, "num_key_value_heads": 16, "n_routed_experts": 64, "n_shared_experts": 2,
    "num_experts_per_tok": 6, "n_group": 1, "topk_group": 1, "topk_method": "greedy", "scoring_func": "softmax",
    "norm_topk_prob": false, "routed_scaling_factor": 1.0, "q_lora_rank": null, "num_nextn_predict_layers": null,
    "quantization_config": null, "rope_scaling": {"mscale": 0.707, "mscale_all_dim": 0.707}})"));
  j["q_lora_rank"] = nullptr;
  return j;
}

inline HfConfig read(const json& j) { return parse_hf_config(j.dump(), "C"); }
inline std::string refusal(const json& j) {
  return thrown([&] { read(j); });
}

/// The message for V3 with one field changed ("a/b" goes into an object) or removed.
inline std::string with(const std::string& field, const json& value) {
  json j = v3();
  j[json::json_pointer("/" + field)] = value;
  return refusal(j);
}
inline std::string without(const std::string& field) {
  json j = v3();
  j.erase(field);
  return refusal(j);
}

}  // namespace dsv3::test
