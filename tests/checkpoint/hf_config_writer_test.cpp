// SPDX-License-Identifier: MIT
#include "tests/checkpoint/hf_config_fixture.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {
/// V3 without YaRN, read in the report's order.
ModelConfig tiny() {
  ModelConfig m = read(v3()).model;
  m.mla.rope.yarn.reset();
  m.mla.rope.max_length = 512;
  m.mtp_order = MtpOrder::hidden_embedding;
  return m;
}
}  // namespace

TEST_CASE("hf_config: what is written reads back as the same model, with every option of ours") {
  const auto round_trip = [](const ModelConfig& m) {
    CHECK(parse_hf_config(hf_config_text(m, Dtype::bf16), "C").model == m);
  };
  round_trip(read(v3()).model);
  round_trip(read(v2_lite()).model);
  round_trip(tiny());
  CHECK(!json::parse(hf_config_text(tiny(), Dtype::bf16)).contains("dsv3_rope_angles"));
  ModelConfig m = tiny();
  m.mla.rope.yarn = YarnConfig{8, 512, 16, 2, 1, 0};  // waits: max_length is not beyond 512
  round_trip(m);
  CHECK(json::parse(hf_config_text(m, Dtype::bf16))["rope_scaling"].is_null());
  m.mla.rope.max_length = 4096;
  m.mla.rope.angles = AngleDialect::exact;
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
