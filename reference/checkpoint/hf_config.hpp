// SPDX-License-Identifier: MIT
/// \file
/// Hugging Face's config.json of DeepSeek-V3 and DeepSeek-V2 <-> ModelConfig.
///
/// Reading. model_type deepseek_v3 (sigmoid scores, groups by the sum of their two best biased scores, b_i) or
/// deepseek_v2 (softmax, groups by their best, no bias). Every field that changes a number is read, or checked for the
/// one value that this project computes: hidden_act silu, attention_bias, mlp_bias and tie_word_embeddings false,
/// attention_dropout 0, moe_layer_freq 1, num_key_value_heads = num_attention_heads, topk_method noaux_tc (V3), greedy
/// or group_limited_greedy (V2), scoring_func as the type implies. Sizes have no defaults: they must be there. Any
/// field that is neither read nor in the list of harmless ones below is refused by name.
///
/// Harmless (they do not reach a number of the forward or the backward pass): names and versions (_name_or_path,
/// architectures, auto_map, transformers_version), storage (torch_dtype, dtype), token ids (bos, eos, pad, unk),
/// run-time switches (use_cache, output_*, return_dict, use_return_dict), parallel layout (ep_size, pretraining_tp,
/// moe_*_parallel...), labels (id2label, label2id, problem_type), chunk_size_feed_forward, and three training values
/// that are NOT those of the report and therefore not taken over: initializer_range (0.02 in the file, 0.006 in
/// section 4.2), aux_loss_alpha (0.001; 0.0001) and seq_aux.
///
/// Rotary embedding. "rope_theta" with "rope_scaling" (null or YaRN, kind under "type" or "rope_type"), or
/// "rope_parameters" with both, as transformers 5 writes it. max_position_embeddings becomes RopeConfig::max_length:
/// the released V3 has 163840 > 4096, so YaRN is on. A file with YaRN whose max_position_embeddings does not exceed the
/// original length is refused: transformers would apply YaRN, the released inference code would not. mscale and
/// mscale_all_dim must be there both or not at all (then 1 and 0, as both implementations have it); beta_fast and
/// beta_slow default to 32 and 1.
///
/// Angles are formed in FP32 as the released code does (AngleDialect::released) unless "dsv3_rope_angles": "exact" says
/// that this model was trained with exact ones.
///
/// The RMSNorms on the two latents use 1e-6 whatever rms_norm_eps says, as in both published implementations.
///
/// MTP. num_nextn_predict_layers (absent: 0) is D. The released M_k reads [embedding; hidden], the reverse of Eq. (21);
/// that is assumed unless "dsv3_mtp_order": "hidden_embedding" says otherwise (written together with transformers'
/// "mtp_hidden_states_first"). Other fields of ours, written only where they differ from the default:
/// "dsv3_mtp_reads_normed" (true), "dsv3_gate_bias" (true; V3 only: false for a gate without b_i, which others load as
/// zeros), "dsv3_init_std" (0.006), and "dsv3_yarn", YaRN's constants while max_length does not exceed the original
/// length and YaRN is therefore off.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

#include "reference/checkpoint/fp8_weights.hpp"
#include "reference/data/token.hpp"
#include "reference/model/config.hpp"

namespace dsv3 {

/// What the config says about how the weights are stored.
struct LoadOptions {
  /// true: channels (2i, 2i+1) of a rotary vector turn together, as in the released weights. false: channels (i,
  /// i+w/2); loading then permutes the rows of W_QR and W_KR.
  bool rope_interleave = true;
  std::optional<BlockSize> fp8_block;  ///< quantization_config.weight_block_size; nothing: no FP8 weights
};

struct HfConfig {
  ModelConfig model;
  LoadOptions load;
};

/// Throws std::runtime_error "WHERE: field: what is; what is needed".
HfConfig parse_hf_config(std::string_view text, const std::string& where);

/// config.json of a checkpoint folder.
HfConfig read_hf_config(const std::filesystem::path& folder);

/// Tokens that begin and end a text, where the tokenizer has them.
struct TextEnds {
  std::optional<Token> begin, end;
};

/// A config.json that transformers loads as DeepseekV3Config (or DeepseekV2Config) and parse_hf_config as `model`
/// again. `stored` is the weights' type ("torch_dtype"). Throws std::invalid_argument for what neither type can
/// express.
std::string hf_config_text(const ModelConfig& model, Dtype stored, const TextEnds& ends = {});

}  // namespace dsv3
