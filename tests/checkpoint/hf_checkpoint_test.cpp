// SPDX-License-Identifier: MIT
#include "reference/checkpoint/hf_checkpoint.hpp"

#include <cmath>
#include <functional>

#include "reference/checkpoint/hf_layout.hpp"
#include "reference/checkpoint/safetensors_writer.hpp"
#include "reference/formats/bf16.hpp"
#include "reference/rope/rope.hpp"
#include "tests/checkpoint/scratch.hpp"
#include "tests/checkpoint/small_model.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {
using Stored = std::map<std::string, Matrix>;

/// What a checkpoint of the small random model holds, by Hugging Face's names.
Stored stored_tensors(const ModelConfig& config) {
  const Scratch scratch;
  const ModelWeights<Matrix> model = random_model(config);
  save_checkpoint(scratch / "c", config, hf_tensors(config, model), Dtype::f32);
  const Checkpoint checkpoint = open_checkpoint(scratch / "c");
  Stored all;
  for (const auto& [key, view] : checkpoint.tensors) all[key] = to_matrix(view);
  return all;
}

/// Writes these tensors (vectors as [n]) plus `extra` and loads them into a model of zeros.
std::string load(const ModelConfig& config, const Stored& stored, ModelWeights<Matrix>& model,
                 const LoadOptions& options = {}, const std::vector<TensorToWrite>& extra = {}) {
  const Scratch scratch;
  std::vector<TensorToWrite> all = extra;
  for (const auto& [key, m] : stored) {
    const bool is_vector = key.find("norm") != std::string::npos || key.ends_with("bias");
    all.push_back(is_vector ? matrix_tensor(key, Dtype::f32, m, {m.size()}) : matrix_tensor(key, Dtype::f32, m));
  }
  write_safetensors(scratch / "model.safetensors", all);
  model = zeros(shapes(config));
  const Checkpoint checkpoint = open_checkpoint(scratch.folder());
  return thrown([&] { load_weights(checkpoint, options, hf_tensors(config, model)); });
}

/// The first tensor in which two models differ.
std::string first_difference(const ModelConfig& config, ModelWeights<Matrix>& a, ModelWeights<Matrix>& b) {
  const auto in_a = hf_tensors(config, a), in_b = hf_tensors(config, b);
  REQUIRE(in_a.size() == in_b.size());
  for (std::size_t i = 0; i < in_a.size(); ++i) {
    if (!different(*in_a[i].first, *in_b[i].first).empty()) return in_a[i].name;
    if (in_a[i].second && !different(*in_a[i].second, *in_b[i].second).empty()) return in_a[i].name + " (second)";
  }
  return {};
}
}  // namespace

TEST_CASE("hf_checkpoint: F32 comes back bit for bit, with and without compressed queries; the config too") {
  for (const bool compressed : {true, false}) {
    const Scratch scratch;
    const ModelConfig config = small_config(compressed);
    const ModelWeights<Matrix> saved = random_model(config);
    save_checkpoint(scratch / "c", config, hf_tensors(config, saved), Dtype::f32);
    ModelWeights<Matrix> loaded = zeros(shapes(config)), expected = saved;
    const HfConfig read = read_hf_config(scratch / "c");
    CHECK(read.model == config);
    load_weights(open_checkpoint(scratch / "c"), read.load, hf_tensors(config, loaded));
    CHECK(first_difference(config, loaded, expected) == "");
    CHECK(scratch.entries() == 1);
  }
}

TEST_CASE("hf_checkpoint: BF16 rounds every weight but b_i, which stays in F32") {
  const Scratch scratch;
  const ModelConfig config = small_config();
  const ModelWeights<Matrix> saved = random_model(config);
  save_checkpoint(scratch / "c", config, hf_tensors(config, saved), Dtype::bf16);
  ModelWeights<Matrix> loaded = zeros(shapes(config));
  load_weights(open_checkpoint(scratch / "c"), {}, hf_tensors(config, loaded));
  CHECK(different(loaded.blocks[1].ffn.b, saved.blocks[1].ffn.b) == "");
  CHECK(different(loaded.blocks[1].ffn.e, round_to_bf16(saved.blocks[1].ffn.e)) == "");
  CHECK(different(loaded.blocks[0].mla.W_QR, round_to_bf16(saved.blocks[0].mla.W_QR)) == "");
  CHECK(different(loaded.blocks[0].mla.W_QR, saved.blocks[0].mla.W_QR) != "");
}

TEST_CASE("hf_checkpoint: the names are those of the released weights") {
  const ModelConfig config = small_config();
  const Stored stored = stored_tensors(config);
  const ModelWeights<Matrix> model = random_model(config);
  const auto is = [&](const char* key, const Matrix& m) {
    CAPTURE(key);
    REQUIRE(stored.contains(key));
    CHECK(different(stored.at(key), m) == "");
  };
  is("model.embed_tokens.weight", model.embedding);
  is("model.norm.weight", model.norm_final.g);
  is("lm_head.weight", model.head);
  const auto& dense = model.blocks[0];
  is("model.layers.0.input_layernorm.weight", dense.norm_attention.g);
  is("model.layers.0.self_attn.q_a_proj.weight", dense.mla.W_DQ);
  is("model.layers.0.self_attn.q_a_layernorm.weight", dense.mla.g_Q);
  is("model.layers.0.self_attn.q_b_proj.weight", join_heads(dense.mla.W_UQ, dense.mla.W_QR, 2));
  is("model.layers.0.self_attn.kv_a_proj_with_mqa.weight", join_heads(dense.mla.W_DKV, dense.mla.W_KR, 1));
  is("model.layers.0.self_attn.kv_a_layernorm.weight", dense.mla.g_KV);
  is("model.layers.0.self_attn.kv_b_proj.weight", join_heads(dense.mla.W_UK, dense.mla.W_UV, 2));
  is("model.layers.0.self_attn.o_proj.weight", dense.mla.W_O);
  is("model.layers.0.post_attention_layernorm.weight", dense.norm_ffn.g);
  is("model.layers.0.mlp.gate_proj.weight", dense.ffn.shared.W_gate);
  is("model.layers.0.mlp.up_proj.weight", dense.ffn.shared.W_up);
  is("model.layers.0.mlp.down_proj.weight", dense.ffn.shared.W_down);
  const auto& moe = model.blocks[1].ffn;
  is("model.layers.1.mlp.gate.weight", moe.e);
  is("model.layers.1.mlp.gate.e_score_correction_bias", moe.b);
  is("model.layers.1.mlp.shared_experts.up_proj.weight", moe.shared.W_up);
  is("model.layers.1.mlp.experts.15.down_proj.weight", moe.experts[15].W_down);
  const auto& mtp = model.mtp[0];
  is("model.layers.2.enorm.weight", mtp.norm_embedding.g);
  is("model.layers.2.hnorm.weight", mtp.norm_hidden.g);
  is("model.layers.2.eh_proj.weight", mtp.M);
  is("model.layers.2.shared_head.norm.weight", mtp.norm_out.g);
  is("model.layers.2.mlp.experts.0.gate_proj.weight", mtp.block.ffn.experts[0].W_gate);
  is("model.layers.2.embed_tokens.weight", model.embedding);
  is("model.layers.2.shared_head.head.weight", model.head);
  // 3 + 12 of a dense layer + (9 + 2 + 3 * 17) of a MoE layer + 6 and a MoE layer of the MTP module
  CHECK(stored.size() == 3 + 12 + 62 + 6 + 62);
  CHECK(stored_tensors(small_config(false)).contains("model.layers.0.self_attn.q_proj.weight"));
}

TEST_CASE("hf_checkpoint: vectors are stored with one dimension") {
  const Scratch scratch;
  const ModelConfig config = small_config();
  const ModelWeights<Matrix> saved = random_model(config);
  save_checkpoint(scratch / "c", config, hf_tensors(config, saved), Dtype::f32);
  const Checkpoint checkpoint = open_checkpoint(scratch / "c");
  CHECK(tensor(checkpoint, "model.norm.weight").shape == std::vector<Index>{10});
  CHECK(tensor(checkpoint, "model.layers.1.mlp.gate.e_score_correction_bias").shape == std::vector<Index>{16});
  CHECK(tensor(checkpoint, "lm_head.weight").shape == std::vector<Index>{11, 10});
}

TEST_CASE("hf_checkpoint: every missing, unmapped and misshapen tensor is named in one message") {
  const ModelConfig config = small_config();
  Stored stored = stored_tensors(config);
  ModelWeights<Matrix> model;
  CHECK(load(config, stored, model) == "nothing thrown");
  stored.erase("model.layers.1.mlp.experts.3.up_proj.weight");
  CHECK(contains(load(config, stored, model), ": 1 problem:\n"));
  stored.erase("lm_head.weight");
  stored["model.layers.3.enorm.weight"] = Matrix::Ones(1, 10);
  stored["model.layers.0.self_attn.rotary_emb.inv_freq"] = Matrix::Ones(1, 2);
  stored["model.layers.0.mlp.up_proj.weight"].transposeInPlace();
  const std::string said = load(config, stored, model);
  CHECK(contains(said, ": 5 problems:\n"));
  CHECK(contains(said, "\"model.layers.1.mlp.experts.3.up_proj.weight\" is missing"));
  CHECK(contains(said, "\"lm_head.weight\" is missing"));
  CHECK(contains(said, "\"model.layers.3.enorm.weight\" is not mapped to any weight"));
  CHECK(contains(said, "\"model.layers.0.self_attn.rotary_emb.inv_freq\" is not mapped"));
  CHECK(contains(said, "\"model.layers.0.mlp.up_proj.weight\" has shape [10, 13]; [13, 10] is needed"));
}

TEST_CASE("hf_checkpoint: of more than 20 problems 20 are listed and the rest is counted") {
  const ModelConfig config = small_config();
  ModelWeights<Matrix> model;
  const std::string said = load(config, {{"lm_head.weight", Matrix::Ones(11, 10)}}, model);
  CHECK(contains(said, ": 142 problems:"));  // all 145 but the head and the two copies, which may be missing
  CHECK(std::count(said.begin(), said.end(), '\n') == 21);
  CHECK(contains(said, "... and 122 more"));
}

TEST_CASE("hf_checkpoint: MTP's copies of the embedding and the head may be missing but must not differ") {
  const ModelConfig config = small_config();
  Stored stored = stored_tensors(config);
  ModelWeights<Matrix> model;
  for (const char* copy : {"model.layers.2.embed_tokens.weight", "model.layers.2.shared_head.head.weight"}) {
    Stored other = stored;
    other[copy](10, 9) += real(0.5);
    CHECK(contains(load(config, other, model), concat('"', copy, "\": differs from")));
    other.erase(copy);
    CHECK(load(config, other, model) == "nothing thrown");
  }
}

TEST_CASE("hf_checkpoint: values that are not finite are refused with name and place") {
  const ModelConfig config = small_config();
  Stored stored = stored_tensors(config);
  stored["model.layers.1.mlp.gate.e_score_correction_bias"](0, 7) = NAN;
  stored["lm_head.weight"](2, 3) = INFINITY;
  ModelWeights<Matrix> model;
  const std::string said = load(config, stored, model);
  CHECK(contains(said, "e_score_correction_bias\": is nan at (0, 7)"));
  CHECK(contains(said, "\"lm_head.weight\": is inf at (2, 3)"));
}

TEST_CASE("hf_checkpoint: a config without b_i does not silently drop a stored bias") {
  ModelConfig config = small_config();
  const Stored stored = stored_tensors(config);
  config.moe.gate.has_bias = false;
  ModelWeights<Matrix> model;
  CHECK(contains(load(config, stored, model), "gate.e_score_correction_bias\" is not mapped"));
}

TEST_CASE("hf_checkpoint: rope_interleave false permutes the rotary rows of queries and keys, and nothing else") {
  ModelConfig config = small_config();
  config.mla.rope.width = 6;  // at 4 the permutation would be its own inverse
  const Stored stored = stored_tensors(config);
  ModelWeights<Matrix> loaded, expected = random_model(config);
  REQUIRE(load(config, stored, loaded, {false, {}}) == "nothing thrown");
  const auto permute = [](MlaWeights<Matrix>& mla) {
    mla.W_QR = reorder_rows(mla.W_QR, 6, RopeLayout::half, RopeLayout::interleaved);
    mla.W_KR = reorder_rows(mla.W_KR, 6, RopeLayout::half, RopeLayout::interleaved);
  };
  for (auto& block : expected.blocks) permute(block.mla);
  permute(expected.mtp[0].block.mla);
  CHECK(first_difference(config, loaded, expected) == "");
}

TEST_CASE("hf_checkpoint: an FP8 weight is loaded through its scale; a scale without an FP8 weight is refused") {
  const ModelConfig config = small_config();
  Stored stored = stored_tensors(config);
  const std::string name = "model.layers.1.mlp.experts.0.up_proj.weight";
  stored.erase(name);
  const std::string codes(90, '\x40');  // 2.0
  const auto bytes = [](const std::string& text) {
    return [&text](const ByteSink& sink) { sink(std::as_bytes(std::span(text))); };
  };
  const Matrix scale = Matrix::Constant(1, 1, real(0.375)), two = Matrix::Constant(2, 1, 1);
  const TensorToWrite weight{name, Dtype::f8_e4m3, {9, 10}, bytes(codes)};
  const TensorToWrite good = matrix_tensor(name + "_scale_inv", Dtype::f32, scale);
  const LoadOptions fp8{true, BlockSize{}};
  ModelWeights<Matrix> model;
  CHECK(load(config, stored, model, fp8, {weight, good}) == "nothing thrown");
  CHECK(different(model.blocks[1].ffn.experts[0].W_up, Matrix::Constant(9, 10, real(0.75))) == "");
  CHECK(contains(load(config, stored, model, fp8, {weight}), "is F8_E4M3 but has no scale"));
  CHECK(contains(load(config, stored, model, {}, {weight, good}), "no quantization_config"));
  CHECK(contains(load(config, stored, model, fp8, {weight, matrix_tensor(name + "_scale_inv", Dtype::f32, two)}),
                 "has shape [2, 1]; one scale per block, [1, 1], is needed"));
  const TensorToWrite orphan = matrix_tensor("lm_head.weight_scale_inv", Dtype::f32, scale);
  CHECK(contains(load(config, stored, model, fp8, {weight, good, orphan}),
                 "\"lm_head.weight_scale_inv\" is a scale, but its weight is F32"));
  const TensorToWrite stray = matrix_tensor("x.weight_scale_inv", Dtype::f32, scale);
  CHECK(contains(load(config, stored, model, fp8, {weight, good, stray}), "\"x.weight_scale_inv\" is not mapped"));
  const TensorToWrite e5m2{name, Dtype::f8_e5m2, {9, 10}, bytes(codes)};
  CHECK(contains(load(config, stored, model, fp8, {e5m2}), "is F8_E5M2, no weight's type"));
}
