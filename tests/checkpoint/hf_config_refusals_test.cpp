// SPDX-License-Identifier: MIT
#include <limits>
#include <map>
#include <set>

#include "reference/core/memory.hpp"
#include "reference/model/weights.hpp"
#include "tests/checkpoint/hf_config_fixture.hpp"

using namespace dsv3;
using namespace dsv3::test;

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
    CHECK(contains(with("hidden_size", bad), "; a whole number from 1 to 1048576 is needed"));
  CHECK(with("qk_rope_head_dim", 63) ==
        "C: RopeConfig: width is 63; it must be even, at least 2 (width is qk_rope_head_dim)");
  CHECK(contains(with("first_k_dense_replace", 62), "a whole number from 0 to 61 is needed"));
  CHECK(contains(with("norm_topk_prob", 1), "true or false is needed"));
  CHECK(contains(with("routed_scaling_factor", "2.5"), "a number from"));
  CHECK(contains(thrown([] { parse_hf_config(R"({"vocab_size":1,"vocab_size":2})", "C"); }), "appears twice"));
  CHECK(contains(thrown([] { parse_hf_config("[]", "C"); }), "a JSON object is needed"));
}

TEST_CASE("hf_config: groups that cannot work say what is needed") {
  CHECK(with("n_group", 7) ==
        "C: GateConfig: num_groups is 7; it must divide N_r 256 (num_groups is n_group, N_r is n_routed_experts)");
  CHECK(with("topk_group", 9) == "C: GateConfig: kept_groups is 9; it must be 1 to 8 (kept_groups is topk_group)");
  json j = v3();
  j["n_group"] = j["topk_group"] = 256;
  CHECK(contains(refusal(j), "num_groups is 256 for N_r 256; groups of one expert have no two best scores"));
  j["n_group"] = 64;
  j["topk_group"] = 1;
  CHECK(refusal(j) ==
        "C: GateConfig: K_r is 8; it must be 1 to 4, the experts of the kept groups (K_r is num_experts_per_tok)");
}

TEST_CASE("hf_config: rotary kinds and constants on which implementations disagree are refused") {
  CHECK(contains(with("rope_scaling/type", "linear"), "type is \"linear\"; \"yarn\" or \"default\" is needed"));
  CHECK(contains(with("rope_scaling/rope_type", "llama3"), "rope_type is \"llama3\""));
  CHECK(contains(with("rope_scaling/rope_type", "default"), "the same as rope_type is needed"));
  CHECK(contains(with("rope_scaling/mscale", nullptr), "both or not at all"));
  CHECK(contains(with("rope_scaling/mscale_all_dim", 0), "mscale_all_dim is 0"));
  CHECK(contains(with("rope_scaling/attention_factor", 1.0), "null is needed"));
  CHECK(contains(with("rope_scaling/truncate", false), "true is needed"));
  CHECK(contains(with("rope_scaling/beta_fast", 0.5), "the fast one not below the slow one (yarn.beta_fast is "));
  CHECK(contains(with("rope_scaling/factor", nullptr), "factor is null; a value is needed"));
  CHECK(contains(with("max_position_embeddings", 4096), "implementations disagree whether YaRN is on"));
  json j = v3();
  for (const char* field : {"mscale", "mscale_all_dim", "beta_fast", "beta_slow"}) j["rope_scaling"].erase(field);
  CHECK(read(j).model.mla.rope.yarn == YarnConfig{40, 4096, 32, 1, 1, 0});
}

TEST_CASE("hf_config: no value of any number is trusted: each of eight wrong ones is refused by the field's name") {
  const std::vector<json> values = {
      0, -1, std::int64_t{1} << 31, std::numeric_limits<std::int64_t>::max(), 1e300, 1.5, "7", nullptr};
  constexpr const char *zero = "0", *half = "1.5", *two_to_31 = "2147483648", *null = "null";
  // The fields, and which of the values are right there.
  const std::map<std::string, std::set<std::string>> fields = {
      {"vocab_size", {}},
      {"hidden_size", {}},
      {"num_hidden_layers", {}},
      {"first_k_dense_replace", {zero}},
      {"intermediate_size", {}},
      {"moe_intermediate_size", {}},
      {"num_attention_heads", {}},
      {"num_key_value_heads", {null}},
      {"qk_nope_head_dim", {}},
      {"qk_rope_head_dim", {}},
      {"v_head_dim", {}},
      {"kv_lora_rank", {}},
      {"q_lora_rank", {zero, null}},
      {"n_routed_experts", {}},
      {"n_shared_experts", {}},
      {"num_experts_per_tok", {}},
      {"n_group", {}},
      {"topk_group", {}},
      {"num_nextn_predict_layers", {zero, null}},
      {"moe_layer_freq", {null}},
      {"max_position_embeddings", {two_to_31}},  // no table is that long
      {"rms_norm_eps", {zero}},
      {"rope_theta", {half, two_to_31}},
      {"routed_scaling_factor", {zero, half}},
      {"rope_scaling/factor", {half}},
      {"rope_scaling/original_max_position_embeddings", {}},
      {"rope_scaling/beta_fast", {half, null}},
      {"rope_scaling/beta_slow", {half, null}},
      {"rope_scaling/mscale", {half}},
      {"rope_scaling/mscale_all_dim", {half}},
  };
  for (const auto& [field, right] : fields)
    for (const json& value : values) {
      const std::string said = with(field, value), name = field;  // doctest cannot capture a part of a pair in clang
      CAPTURE(name);
      CAPTURE(value.dump());
      CAPTURE(said);
      CHECK((said == "nothing thrown") == right.contains(value.dump()));
      CHECK((said == "nothing thrown" || contains(said, field.substr(field.find('/') + 1))));
      CHECK(said.size() < 300);
    }
}

TEST_CASE("hf_config: sizes that are right alone but not together are refused before anything is made of them") {
  const auto said = [](std::initializer_list<std::pair<const char*, Index>> fields) {
    json j = v3();
    for (const auto& [field, value] : fields) j[field] = value;
    j["num_key_value_heads"] = j["num_attention_heads"];
    return refusal(j);
  };
  CHECK(said({{"num_hidden_layers", 4095}, {"n_routed_experts", 65536}}) ==
        "C: config: N_r is 65536 in each of 4093 layers; there must be at most 131072 experts in all "
        "(N_r is n_routed_experts)");
  CHECK(contains(said({{"num_hidden_layers", 4096}}), "D is 1; it must be 0 to 0 (D is num_nextn_predict_layers)"));
  CHECK(contains(said({{"num_attention_heads", 1 << 20}}), "their product must be at most 1048576"));
  CHECK(contains(said({{"num_attention_heads", 1 << 14}, {"v_head_dim", 65}}), "n_h is num_attention_heads"));
  CHECK(
      contains(said({{"n_shared_experts", 1 << 20}, {"moe_intermediate_size", 1 << 20}}), "d_shared is 1099511627776"));
}

TEST_CASE("hf_config: the largest sizes that pass are counted without overflow and in little memory") {
  json j = v3();
  for (const char* field :
       {"vocab_size", "hidden_size", "intermediate_size", "moe_intermediate_size", "kv_lora_rank", "q_lora_rank"})
    j[field] = max_side;
  j["num_hidden_layers"] = max_layers - 1;
  j["n_routed_experts"] = 32;
  j["qk_nope_head_dim"] = j["v_head_dim"] = 8192;
  const ModelConfig m = read(j).model;
  reset_peak_memory();
  const std::size_t before = resident_memory().peak;
  const ParameterCounts counts = count_parameters(m);
  CHECK(resident_memory().peak - before < 400'000'000);  // shapes take 50 MB, twice that under sanitizers
  CHECK(counts.total > Index{1} << 57);
  CHECK(counts.total < std::numeric_limits<Index>::max() / 8);  // bytes, too
  CHECK((counts.active > 0 && counts.active < counts.total));
  CHECK(cache_bytes_per_token(m) == 2 * (max_layers - 1) * (max_side + 64));
}
