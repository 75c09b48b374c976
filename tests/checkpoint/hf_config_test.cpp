// SPDX-License-Identifier: MIT
#include "reference/checkpoint/hf_config.hpp"

#include <nlohmann/json.hpp>

#include "tests/checkpoint/scratch.hpp"
#include "tests/checkpoint/small_model.hpp"

using namespace dsv3;
using namespace dsv3::test;
using nlohmann::json;

namespace {
/// The fields of the released V3, section 1.11 of the published configurations.
json v3() {
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

json v2_lite() {
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

HfConfig read(const json& j) { return parse_hf_config(j.dump(), "C"); }
std::string refusal(const json& j) {
  return thrown([&] { read(j); });
}

/// The message for V3 with one field changed ("a/b" goes into an object) or removed.
std::string with(const std::string& field, const json& value) {
  json j = v3();
  j[json::json_pointer("/" + field)] = value;
  return refusal(j);
}
std::string without(const std::string& field) {
  json j = v3();
  j.erase(field);
  return refusal(j);
}

ModelConfig tiny() {
  ModelConfig m = read(v3()).model;
  m.mla.rope.yarn.reset();
  m.mla.rope.max_length = 512;
  m.mtp_order = MtpOrder::hidden_embedding;
  return m;
}
}  // namespace

TEST_CASE("hf_config: the released V3") {
  const HfConfig config = read(v3());
  ModelConfig m;
  m.V = 129280;
  m.L = 61;
  m.num_dense_layers = 3;
  m.d_dense = 18432;
  m.mla = {7168, 128, 128, 128, 512, 1536, {64, 10000, 163840, YarnConfig{40, 4096, 32, 1, 1, 1}}, 1e-6};
  m.moe = {7168, 2048, 2048, {256, 8, 8, 4, Scoring::sigmoid, GroupScore::top2_sum, true, true, 2.5}};
  m.D = 1;
  m.mtp_order = MtpOrder::embedding_hidden;  // the reverse of Eq. (21)
  CHECK(config.model == m);
  CHECK(config.model.init_std == 0.006);  // not the file's 0.02
  CHECK(config.load.fp8_block == BlockSize{128, 128});
  CHECK(config.load.rope_interleave);
}

TEST_CASE("hf_config: V2-Lite has softmax, no groups, no query compression, m = 0.707 and no MTP") {
  const HfConfig config = read(v2_lite());
  const ModelConfig& m = config.model;
  CHECK(m.mla.d_c_prime == 0);
  CHECK(m.moe.d_shared == 2816);
  CHECK(m.moe.gate == GateConfig{64, 6, 1, 1, Scoring::softmax, GroupScore::maximum, false, false, 1});
  CHECK(m.mla.rope.yarn->mscale_all_dim == 0.707);
  CHECK(m.mla.rope.yarn->mscale == 0.707);
  CHECK(m.D == 0);
  CHECK(!config.load.fp8_block.has_value());
}

TEST_CASE("hf_config: V2 keeps 3 of 8 groups by their best expert") {
  json j = v2_lite();
  j.merge_patch(json::parse(R"({"n_routed_experts": 160, "n_group": 8, "topk_group": 3, "routed_scaling_factor": 16.0,
                                "topk_method": "group_limited_greedy"})"));
  CHECK(read(j).model.moe.gate == GateConfig{160, 6, 8, 3, Scoring::softmax, GroupScore::maximum, false, false, 16});
  j["topk_method"] = "greedy";  // does not look at the groups
  CHECK(read(j).model.moe.gate.num_groups == 1);
}

TEST_CASE("hf_config: each field that changes numbers is read into its own place") {
  const ModelConfig base = read(v3()).model;
  const auto changed = [&](const char* field, const json& value) {
    json j = v3();
    j[field] = value;
    return read(j).model;
  };
  ModelConfig m = base;
  const auto expect = [&](const char* field, const json& value) {
    CAPTURE(field);
    CHECK(changed(field, value) == m);
    CHECK(m != base);
    m = base;
  };
  m.V = 7;
  expect("vocab_size", 7);
  m.num_dense_layers = 0;
  expect("first_k_dense_replace", 0);
  m.d_dense = 7;
  expect("intermediate_size", 7);
  m.eps = 1e-5;  // the norms on the latents keep 1e-6
  expect("rms_norm_eps", 1e-5);
  m.mla.d = m.moe.d = 7;
  expect("hidden_size", 7);
  m.mla.d_h = 7;
  expect("qk_nope_head_dim", 7);
  m.mla.rope.width = 8;
  expect("qk_rope_head_dim", 8);
  m.mla.d_v = 7;
  expect("v_head_dim", 7);
  m.mla.d_c = 7;
  expect("kv_lora_rank", 7);
  m.mla.d_c_prime = 7;
  expect("q_lora_rank", 7);
  m.mla.rope.theta = 5000;
  expect("rope_theta", 5000);
  m.mla.rope.max_length = 8192;
  expect("max_position_embeddings", 8192);
  m.mla.rope.yarn.reset();
  expect("rope_scaling", nullptr);
  m.moe.d_expert = m.moe.d_shared = 7;
  expect("moe_intermediate_size", 7);
  m.moe.d_shared = 3 * 2048;
  expect("n_shared_experts", 3);
  m.moe.gate.N_r = 128;
  expect("n_routed_experts", 128);
  m.moe.gate.K_r = 7;
  expect("num_experts_per_tok", 7);
  m.moe.gate.num_groups = 16;
  expect("n_group", 16);
  m.moe.gate.kept_groups = 3;
  expect("topk_group", 3);
  m.moe.gate.normalise = false;
  expect("norm_topk_prob", false);
  m.moe.gate.routed_scaling_factor = 2;
  expect("routed_scaling_factor", 2);
  m.D = 2;
  expect("num_nextn_predict_layers", 2);
  m.L = 62;
  expect("num_hidden_layers", 62);
}

TEST_CASE("hf_config: a value that this project does not compute is refused by name") {
  CHECK(with("hidden_act", "gelu") == "C: hidden_act is \"gelu\"; \"silu\" is needed");
  CHECK(with("attention_bias", true) == "C: attention_bias is true; false is needed");
  CHECK(with("mlp_bias", true) == "C: mlp_bias is true; false is needed");
  CHECK(with("tie_word_embeddings", true) == "C: tie_word_embeddings is true; false is needed");
  CHECK(with("moe_layer_freq", 2) == "C: moe_layer_freq is 2; 1 is needed");
  CHECK(with("attention_dropout", 0.1) == "C: attention_dropout is 0.1; 0.0 is needed");
  CHECK(with("num_key_value_heads", 8) == "C: num_key_value_heads is 8; 128 is needed");
  CHECK(with("head_dim", 128) == "C: head_dim is 128; 64 is needed");
  CHECK(with("head_dim", 64) == "nothing thrown");
  CHECK(with("qk_head_dim", 128) == "C: qk_head_dim is 128; 192 is needed");
  CHECK(with("topk_method", "greedy") == "C: topk_method is \"greedy\"; \"noaux_tc\" is needed");
  CHECK(with("scoring_func", "softmax") == "C: scoring_func is \"softmax\"; \"sigmoid\" is needed");
  CHECK(contains(with("model_type", "kimi_k2"), "model_type is \"kimi_k2\"; \"deepseek_v3\" or \"deepseek_v2\""));
  CHECK(contains(with("quantization_config/quant_method", "awq"), "quant_method is \"awq\"; \"fp8\" is needed"));
  CHECK(contains(with("quantization_config/fmt", "e5m2"), "fmt is \"e5m2\""));
  CHECK(contains(with("quantization_config/activation_scheme", "static"), "activation_scheme is \"static\""));
  CHECK(contains(with("quantization_config/weight_block_size", json::array({128})), "[rows, columns] is needed"));
  CHECK(contains(with("quantization_config/weight_block_size", json::array({0, 128})), "[rows, columns] is needed"));
  CHECK(with("quantization_config/scale_fmt", "ue8m0") == "nothing thrown");
  json j = v2_lite();
  j["norm_topk_prob"] = true;
  CHECK(contains(refusal(j), "implementations of V2 disagree"));
  j = v2_lite();
  j["rope_interleave"] = false;
  CHECK(contains(refusal(j), "V2 has no other layout"));
}

TEST_CASE("hf_config: unknown fields are refused by name, also inside rope_scaling and quantization_config") {
  CHECK(with("index_topk", 2048) == "C: fields that are not known and could change the numbers: \"index_topk\"");
  json j = v3();
  j["swiglu_limit"] = 10;
  j["sliding_window"] = nullptr;
  CHECK(contains(refusal(j), "\"sliding_window\", \"swiglu_limit\""));
  CHECK(contains(with("rope_scaling/long_factor", 1), "C: rope_scaling: fields that are not known"));
  CHECK(contains(with("quantization_config/expert_dtype", "fp4"), "C: quantization_config: fields that are not known"));
}

TEST_CASE("hf_config: sizes have no defaults and ranges are checked; types are not converted") {
  for (const char* field : {"vocab_size",
                            "num_hidden_layers",
                            "first_k_dense_replace",
                            "intermediate_size",
                            "rms_norm_eps",
                            "hidden_size",
                            "num_attention_heads",
                            "qk_nope_head_dim",
                            "qk_rope_head_dim",
                            "v_head_dim",
                            "kv_lora_rank",
                            "rope_theta",
                            "max_position_embeddings",
                            "moe_intermediate_size",
                            "n_shared_experts",
                            "n_routed_experts",
                            "num_experts_per_tok",
                            "n_group",
                            "topk_group",
                            "norm_topk_prob",
                            "routed_scaling_factor",
                            "model_type"})
    CHECK(contains(without(field), concat("C: ", field, " is absent; ")));
  for (const json& bad : {json(0), json(-1), json(1.5), json("7"), json(true), json(~std::uint64_t{0}), json(1e300)})
    CHECK(contains(with("hidden_size", bad), "; a whole number from 1 to 16777216 is needed"));
  CHECK(contains(with("qk_rope_head_dim", 63), "an even width is needed"));
  CHECK(contains(with("first_k_dense_replace", 62), "a whole number from 0 to 61 is needed"));
  CHECK(contains(with("norm_topk_prob", 1), "true or false is needed"));
  CHECK(contains(with("routed_scaling_factor", "2.5"), "a number from"));
  CHECK(contains(thrown([] { parse_hf_config(R"({"vocab_size":1,"vocab_size":2})", "C"); }), "appears twice"));
  CHECK(contains(thrown([] { parse_hf_config("[]", "C"); }), "a JSON object is needed"));
}

TEST_CASE("hf_config: groups that cannot work say what is needed") {
  CHECK(with("n_group", 7) == "C: n_group is 7; a divisor of n_routed_experts, 256, is needed");
  CHECK(with("n_group", 256) == "C: n_group is 256; groups of at least 2 experts are needed");
  CHECK(contains(with("topk_group", 9), "a whole number from 1 to 8 is needed"));
  json j = v3();
  j["n_group"] = 64;
  j["topk_group"] = 1;
  CHECK(contains(refusal(j), "8, experts must fit into the kept groups of 4"));
}

TEST_CASE("hf_config: YaRN by type, by rope_type, or in transformers 5's rope_parameters") {
  const RopeConfig released = read(v3()).model.mla.rope;
  json j = v3();
  j["rope_scaling"]["rope_type"] = "yarn";
  CHECK(read(j).model.mla.rope == released);
  j["rope_scaling"].erase("type");
  CHECK(read(j).model.mla.rope == released);
  j["rope_parameters"] = j["rope_scaling"];
  j["rope_parameters"]["rope_theta"] = 10000.0;
  CHECK(contains(refusal(j), "only one of rope_parameters and rope_scaling"));
  j.erase("rope_scaling");
  CHECK(read(j).model.mla.rope == released);
  j.erase("rope_theta");
  CHECK(read(j).model.mla.rope == released);
  j["rope_theta"] = 500;
  CHECK(contains(refusal(j), "the same as the one outside"));
  json plain = v3();
  plain["rope_scaling"] = {{"rope_type", "default"}};
  CHECK(!read(plain).model.mla.rope.yarn.has_value());
}

TEST_CASE("hf_config: a config.json of ours that transformers 5 loaded and wrote again is still the same model") {
  ModelConfig m = small_config();
  m.mla.rope.max_length = 256;
  m.mla.rope.yarn = YarnConfig{8, 32, 32, 1, 1, 1};
  const std::string text = get(DSV3_SOURCE_DIR "/tests/checkpoint/golden/transformers5_config.json");
  CHECK(parse_hf_config(text, "C").model == m);
}

TEST_CASE("hf_config: rotary kinds and constants on which implementations disagree are refused") {
  CHECK(contains(with("rope_scaling/type", "linear"), "type is \"linear\"; \"yarn\" or \"default\" is needed"));
  CHECK(contains(with("rope_scaling/rope_type", "llama3"), "rope_type is \"llama3\""));
  CHECK(contains(with("rope_scaling/rope_type", "default"), "the same as rope_type is needed"));
  CHECK(contains(with("rope_scaling/mscale", nullptr), "both or not at all"));
  CHECK(contains(with("rope_scaling/mscale_all_dim", 0), "mscale_all_dim is 0"));
  CHECK(contains(with("rope_scaling/attention_factor", 1.0), "null is needed"));
  CHECK(contains(with("rope_scaling/truncate", false), "true is needed"));
  CHECK(contains(with("rope_scaling/beta_fast", 1), "more than beta_slow"));
  CHECK(contains(with("rope_scaling/factor", nullptr), "factor is null; a value is needed"));
  CHECK(contains(with("max_position_embeddings", 4096), "implementations disagree whether YaRN is on"));
  json j = v3();
  for (const char* field : {"mscale", "mscale_all_dim", "beta_fast", "beta_slow"}) j["rope_scaling"].erase(field);
  CHECK(read(j).model.mla.rope.yarn == YarnConfig{40, 4096, 32, 1, 1, 0});
}

TEST_CASE("hf_config: rope_interleave false is kept for the loader") {
  json j = v3();
  j["rope_interleave"] = false;
  CHECK(!read(j).load.rope_interleave);
}

TEST_CASE("hf_config: what is written reads back as the same model, with every option of ours") {
  const auto round_trip = [](const ModelConfig& m) {
    CHECK(parse_hf_config(hf_config_text(m, Dtype::bf16), "C").model == m);
  };
  round_trip(read(v3()).model);
  round_trip(read(v2_lite()).model);
  round_trip(tiny());
  ModelConfig m = tiny();
  m.mla.rope.yarn = YarnConfig{8, 512, 16, 2, 1, 0};  // waits: max_length is not beyond 512
  round_trip(m);
  CHECK(json::parse(hf_config_text(m, Dtype::bf16))["rope_scaling"].is_null());
  m.mla.rope.max_length = 4096;
  m.mtp_reads_normed = false;
  m.moe.gate.has_bias = false;
  m.init_std = 0.02;
  m.eps = 0.1;  // doubles come back to the last bit
  m.mla.d_c_prime = 0;
  m.D = 0;
  round_trip(m);
}

TEST_CASE("hf_config: the written file has the names that transformers looks for") {
  const json j = json::parse(hf_config_text(tiny(), Dtype::f32));
  CHECK(j["model_type"] == "deepseek_v3");
  CHECK(j["architectures"] == json::array({"DeepseekV3ForCausalLM"}));
  CHECK(j["torch_dtype"] == "float32");
  CHECK(j["topk_method"] == "noaux_tc");
  CHECK(j["mtp_hidden_states_first"] == true);
  CHECK(!json::parse(hf_config_text(read(v3()).model, Dtype::bf16)).contains("dsv3_mtp_order"));
}

TEST_CASE("hf_config: what config.json cannot express is not written") {
  const auto said = [](const auto& change) {
    ModelConfig m = tiny();
    change(m);
    return thrown<std::invalid_argument>([&] { hf_config_text(m, Dtype::bf16); });
  };
  CHECK(said([](ModelConfig&) {}) == "nothing thrown");
  CHECK(contains(said([](ModelConfig& m) { m.moe.gate.scoring = Scoring::softmax; }), "neither V3's"));
  CHECK(contains(said([](ModelConfig& m) { m.moe.gate.group_score = GroupScore::maximum; }), "neither V3's"));
  CHECK(contains(said([](ModelConfig& m) { m.moe.d_shared = 100; }), "a multiple N_s >= 1 of d_expert"));
  CHECK(contains(said([](ModelConfig& m) { m.moe.gate.N_r = 0; }), "no routed experts"));
  CHECK(contains(said([](ModelConfig& m) { m.mla.eps = 1e-5; }), "mla.eps is 1e-05"));
  CHECK(contains(said([](ModelConfig& m) { m.mla.rope.yarn = YarnConfig{40, 4096, 32, 1, 0.5, 0}; }), "mscale is 0.5"));
}
