// SPDX-License-Identifier: MIT
#include "tests/checkpoint/hf_config_fixture.hpp"
#include "tests/checkpoint/small_model.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("hf_config: the released V3") {
  const HfConfig config = read(v3());
  ModelConfig m;
  m.V = 129280;
  m.L = 61;
  m.num_dense_layers = 3;
  m.d_dense = 18432;
  m.mla = {
      7168, 128, 128, 128, 512, 1536, {64, 10000, 163840, YarnConfig{40, 4096, 32, 1, 1, 1}, AngleDialect::released},
      1e-6};
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
  m.mla.rope.angles = AngleDialect::released;
  const std::string text = get(DSV3_SOURCE_DIR "/tests/checkpoint/golden/transformers5_config.json");
  CHECK(parse_hf_config(text, "C").model == m);
}

TEST_CASE("hf_config: angles are formed as the released code does, unless the file is of a model trained otherwise") {
  json j = v3();
  CHECK(read(j).model.mla.rope.angles == AngleDialect::released);
  j["dsv3_rope_angles"] = "exact";
  CHECK(read(j).model.mla.rope.angles == AngleDialect::exact);
  CHECK(with("dsv3_rope_angles", "fp16") == "C: dsv3_rope_angles is \"fp16\"; \"exact\" is needed");
}

TEST_CASE("hf_config: rope_interleave false is kept for the loader") {
  json j = v3();
  j["rope_interleave"] = false;
  CHECK(!read(j).load.rope_interleave);
}
