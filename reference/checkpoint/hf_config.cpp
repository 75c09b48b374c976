// SPDX-License-Identifier: MIT
#include "reference/checkpoint/hf_config.hpp"

#include <array>
#include <sstream>

#include "reference/checkpoint/json_fields.hpp"
#include "reference/checkpoint/strict_json.hpp"
#include "reference/core/require.hpp"

namespace dsv3 {

namespace {
const std::set<std::string> harmless_fields = {"_name_or_path",
                                               "architectures",
                                               "auto_map",
                                               "transformers_version",
                                               "torch_dtype",
                                               "dtype",
                                               "bos_token_id",
                                               "eos_token_id",
                                               "pad_token_id",
                                               "unk_token_id",
                                               "use_cache",
                                               "output_attentions",
                                               "output_hidden_states",
                                               "output_router_logits",
                                               "return_dict",
                                               "use_return_dict",
                                               "ep_size",
                                               "pretraining_tp",
                                               "id2label",
                                               "label2id",
                                               "problem_type",
                                               "chunk_size_feed_forward",
                                               "initializer_range",
                                               "aux_loss_alpha",
                                               "seq_aux"};

void check_fixed_fields(JsonFields& f) {
  f.require_if_present("hidden_act", "silu");
  f.require_if_present("attention_bias", false);
  f.require_if_present("mlp_bias", false);
  f.require_if_present("tie_word_embeddings", false);
  f.require_if_present("is_encoder_decoder", false);
  f.require_if_present("attention_dropout", 0.0);
  f.require_if_present("moe_layer_freq", 1);
}

void read_sizes(JsonFields& f, ModelConfig& m) {
  m.V = f.integer("vocab_size", 1, max_side);
  m.L = f.integer("num_hidden_layers", 1, max_layers);
  m.num_dense_layers = f.integer("first_k_dense_replace", 0, m.L);
  m.d_dense = f.integer("intermediate_size", 1, max_side);
  m.eps = f.number("rms_norm_eps", 0, 1);
}

void read_attention(JsonFields& f, MlaConfig& mla) {
  mla.d = f.integer("hidden_size", 1, max_side);
  mla.n_h = f.integer("num_attention_heads", 1, max_side);
  mla.d_h = f.integer("qk_nope_head_dim", 1, max_side);
  mla.d_v = f.integer("v_head_dim", 1, max_side);
  mla.d_c = f.integer("kv_lora_rank", 1, max_side);
  mla.d_c_prime = f.has("q_lora_rank") ? f.integer("q_lora_rank", 0, max_side) : 0;
  mla.rope.width = f.integer("qk_rope_head_dim", 2, max_side);
  mla.eps = 1e-6;
  f.require_if_present("num_key_value_heads", mla.n_h);
  f.require_if_present("qk_head_dim", mla.d_h + mla.rope.width);
  f.require_if_present("head_dim", mla.rope.width);
}

YarnConfig read_yarn(JsonFields& f) {
  YarnConfig yarn;
  yarn.factor = f.number("factor", 1, 1e6);
  yarn.original_length = f.integer("original_max_position_embeddings", 1, Index{1} << 40);
  yarn.beta_fast = f.has("beta_fast") ? f.number("beta_fast", 1e-3, 1e6) : 32;
  yarn.beta_slow = f.has("beta_slow") ? f.number("beta_slow", 1e-3, 1e6) : 1;
  const bool has_mscale = f.has("mscale"), has_all_dim = f.has("mscale_all_dim");
  f.check(has_mscale == has_all_dim, has_mscale ? "mscale_all_dim" : "mscale",
          "implementations disagree unless mscale and mscale_all_dim are there both or not at all");
  yarn.mscale = has_mscale ? f.number("mscale", 1e-3, 1e3) : 1;
  yarn.mscale_all_dim = has_all_dim ? f.number("mscale_all_dim", 1e-3, 1e3) : 0;
  f.require_if_present("truncate", true);
  f.check(!f.has("attention_factor"), "attention_factor", "null is needed; mscale and mscale_all_dim give it");
  return yarn;
}

/// "rope_scaling" or "rope_parameters": kind, constants, and theta where it is inside.
void read_rope_object(const nlohmann::json& object, const std::string& where, RopeConfig& rope, bool& has_theta) {
  JsonFields f(object, where);
  if (f.has("rope_theta")) {
    const double theta = f.number("rope_theta", 1 + 1e-6, 1e12);
    f.check(!has_theta || theta == rope.theta, "rope_theta", "the same as the one outside is needed");
    rope.theta = theta;
    has_theta = true;
  }
  const bool old_name = f.has("type"), new_name = f.has("rope_type");
  const std::string key = new_name ? "rope_type" : "type", kind = f.text(key);
  f.check(kind == "yarn" || kind == "default", key, R"("yarn" or "default" is needed)");
  if (old_name && new_name) f.check(f.text("type") == kind, "type", "the same as rope_type is needed");
  if (kind == "yarn") {
    rope.yarn = read_yarn(f);
    f.check(rope.max_length > rope.yarn->original_length, "original_max_position_embeddings",
            concat("less than max_position_embeddings, ", rope.max_length,
                   ", is needed: else implementations disagree whether YaRN is on"));
  }
  f.refuse_others({});
}

void read_rope(JsonFields& f, const std::string& where, RopeConfig& rope) {
  rope.max_length = f.integer("max_position_embeddings", 1, Index{1} << 40);
  rope.angles = AngleDialect::released;
  if (f.has("dsv3_rope_angles")) {
    f.check(f.text("dsv3_rope_angles") == "exact", "dsv3_rope_angles", R"("exact" is needed)");
    rope.angles = AngleDialect::exact;
  }
  bool has_theta = f.has("rope_theta");
  if (has_theta) rope.theta = f.number("rope_theta", 1 + 1e-6, 1e12);
  const bool old_name = f.has("rope_scaling"), new_name = f.has("rope_parameters");
  f.check(!(old_name && new_name), "rope_parameters", "only one of rope_parameters and rope_scaling is needed");
  if (old_name || new_name) {
    const char* const key = old_name ? "rope_scaling" : "rope_parameters";
    read_rope_object(f.object(key), where + ": " + key, rope, has_theta);
  }
  f.check(has_theta, "rope_theta", "a number is needed");
  if (f.has("dsv3_yarn")) {
    f.check(!rope.yarn.has_value(), "dsv3_yarn", "it must not stand beside YaRN in rope_scaling");
    JsonFields waiting(f.object("dsv3_yarn"), where + ": dsv3_yarn");
    rope.yarn = read_yarn(waiting);
    waiting.check(rope.max_length <= rope.yarn->original_length, "original_max_position_embeddings",
                  "at least max_position_embeddings is needed; else YaRN belongs into rope_scaling");
    waiting.refuse_others({});
  }
}

void read_groups(JsonFields& f, GateConfig& gate) {
  gate.num_groups = f.integer("n_group", 1, max_side);
  gate.kept_groups = f.integer("topk_group", 1, max_side);
}

void read_v3_gate(JsonFields& f, GateConfig& gate) {
  gate.scoring = Scoring::sigmoid;
  gate.group_score = GroupScore::top2_sum;
  gate.has_bias = f.boolean("dsv3_gate_bias", true);
  gate.normalise = f.boolean("norm_topk_prob");
  f.require_if_present("scoring_func", "sigmoid");
  f.require_if_present("topk_method", "noaux_tc");
  read_groups(f, gate);
}

void read_v2_gate(JsonFields& f, GateConfig& gate) {
  gate.scoring = Scoring::softmax;
  gate.group_score = GroupScore::maximum;
  gate.has_bias = false;
  gate.normalise = f.boolean("norm_topk_prob");
  f.check(!gate.normalise, "norm_topk_prob", "false is needed: implementations of V2 disagree about true");
  f.require_if_present("scoring_func", "softmax");
  const std::string method = f.text("topk_method");
  f.check(method == "greedy" || method == "group_limited_greedy", "topk_method",
          R"("greedy" or "group_limited_greedy" is needed)");
  if (method == "group_limited_greedy") read_groups(f, gate);
  f.has("n_group");  // greedy does not look at the groups
  f.has("topk_group");
}

void read_moe(JsonFields& f, bool is_v3, MoeConfig& moe) {
  GateConfig& gate = moe.gate;
  gate.N_r = f.integer("n_routed_experts", 1, max_side);
  gate.K_r = f.integer("num_experts_per_tok", 1, max_side);
  gate.routed_scaling_factor = f.number("routed_scaling_factor", 0, 1e6);
  moe.d_expert = f.integer("moe_intermediate_size", 1, max_side);
  moe.d_shared = moe.d_expert * f.integer("n_shared_experts", 1, max_side);
  is_v3 ? read_v3_gate(f, gate) : read_v2_gate(f, gate);
}

void read_mtp(JsonFields& f, ModelConfig& m) {
  m.D = f.has("num_nextn_predict_layers") ? f.integer("num_nextn_predict_layers", 0, max_layers) : 0;
  const std::string order = f.has("dsv3_mtp_order") ? f.text("dsv3_mtp_order") : "embedding_hidden";
  f.check(order == "embedding_hidden" || order == "hidden_embedding", "dsv3_mtp_order",
          R"("embedding_hidden" or "hidden_embedding" is needed)");
  m.mtp_order = order == "embedding_hidden" ? MtpOrder::embedding_hidden : MtpOrder::hidden_embedding;
  f.require_if_present("mtp_hidden_states_first", m.mtp_order == MtpOrder::hidden_embedding);
  m.mtp_reads_normed = f.boolean("dsv3_mtp_reads_normed", true);
}

std::optional<BlockSize> read_quantization(JsonFields& outer, const std::string& where) {
  if (!outer.has("quantization_config")) return std::nullopt;
  JsonFields f(outer.object("quantization_config"), where + ": quantization_config");
  f.check(f.text("quant_method") == "fp8", "quant_method", R"("fp8" is needed)");
  f.require_if_present("fmt", "e4m3");
  f.require_if_present("activation_scheme", "dynamic");
  if (f.has("scale_fmt"))  // how activations are scaled at run time; stored weights carry their own scales
    f.check(f.text("scale_fmt") == "ue8m0" || f.text("scale_fmt") == "float", "scale_fmt",
            R"("ue8m0" or "float" is needed)");
  f.check(f.has("weight_block_size"), "weight_block_size", "[rows, columns] is needed");
  const auto& size = outer.object("quantization_config").at("weight_block_size");
  const auto ok = [](const nlohmann::json& n) { return n.is_number_unsigned() && n >= 1 && n <= max_side; };
  f.check(size.is_array() && size.size() == 2 && ok(size[0]) && ok(size[1]), "weight_block_size",
          "[rows, columns] is needed");
  f.refuse_others({"modules_to_not_convert", "dequantize"});
  return BlockSize{size[0].get<Index>(), size[1].get<Index>()};
}
/// What validate calls by the report's letters and config.json by another name.
constexpr std::array<std::array<std::string_view, 2>, 21> names_in_file = {{
    {"V", "vocab_size"},
    {"L", "num_hidden_layers"},
    {"D", "num_nextn_predict_layers"},
    {"num_dense_layers", "first_k_dense_replace"},
    {"d", "hidden_size"},
    {"n_h", "num_attention_heads"},
    {"d_h", "qk_nope_head_dim"},
    {"d_v", "v_head_dim"},
    {"d_c", "kv_lora_rank"},
    {"d_c_prime", "q_lora_rank"},
    {"d_dense", "intermediate_size"},
    {"d_expert", "moe_intermediate_size"},
    {"d_shared", "n_shared_experts times moe_intermediate_size"},
    {"width", "qk_rope_head_dim"},
    {"max_length", "max_position_embeddings"},
    {"yarn.beta_fast", "beta_fast"},
    {"yarn.original_length", "original_max_position_embeddings"},
    {"N_r", "n_routed_experts"},
    {"K_r", "num_experts_per_tok"},
    {"num_groups", "n_group"},
    {"kept_groups", "topk_group"},
}};

/// The rules are validate's; its complaint is followed by what the fields it names are called in the file.
void require_valid(const ModelConfig& m, const std::string& where) try {
  validate(m);
} catch (const std::invalid_argument& error) {
  std::istringstream words(error.what());
  std::string names;
  for (std::string word; words >> word;)
    for (const auto& [letter, field] : names_in_file)
      if (word == letter) names += concat(names.empty() ? "" : ", ", letter, " is ", field);
  throw std::runtime_error(concat(where, ": ", error.what(), " (", names, ")"));
}
}  // namespace

HfConfig parse_hf_config(std::string_view text, const std::string& where) {
  const nlohmann::json object = parse_strict_json(text, where);
  JsonFields f(object, where);
  const std::string type = f.text("model_type");
  f.check(type == "deepseek_v3" || type == "deepseek_v2", "model_type", R"("deepseek_v3" or "deepseek_v2" is needed)");
  const bool is_v3 = type == "deepseek_v3";
  HfConfig config;
  ModelConfig& m = config.model;
  check_fixed_fields(f);
  read_sizes(f, m);
  read_attention(f, m.mla);
  read_rope(f, where, m.mla.rope);
  m.moe.d = m.mla.d;
  read_moe(f, is_v3, m.moe);
  read_mtp(f, m);
  if (f.has("dsv3_init_std")) m.init_std = f.number("dsv3_init_std", 0, 1e3);
  config.load.rope_interleave = f.boolean("rope_interleave", true);
  f.check(is_v3 || config.load.rope_interleave, "rope_interleave", "true is needed: V2 has no other layout");
  config.load.fp8_block = read_quantization(f, where);
  f.refuse_others(harmless_fields);
  require_valid(m, where);
  return config;
}

HfConfig read_hf_config(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "config.json";
  const MappedFile file(path);
  return parse_hf_config(file.text(), path.string());
}

}  // namespace dsv3
