// SPDX-License-Identifier: MIT
/// \file
/// The one map between a model's weights and Hugging Face's tensor names; loading, saving and checking follow it.
///
///     model.embed_tokens.weight                  embedding [V, d]
///     model.layers.i.input_layernorm.weight      norm_attention
///     model.layers.i.self_attn.                  W_DQ q_a_proj, g_Q q_a_layernorm, W_DKV+W_KR kv_a_proj_with_mqa,
///                                                g_KV kv_a_layernorm, W_UK+W_UV kv_b_proj, W_O o_proj,
///                                                W_UQ+W_QR q_b_proj (q_proj if d_c' = 0); see hf_layout.hpp
///     model.layers.i.post_attention_layernorm    norm_ffn
///     model.layers.i.mlp.                        gate_proj, up_proj, down_proj: of a dense layer here, else under
///                                                shared_experts. and experts.j.; gate.weight: e (row i is e_i),
///                                                gate.e_score_correction_bias: b
///     model.norm.weight, lm_head.weight          norm_final, head
///     model.layers.(L+k).                        MTP module k+1: enorm norm_embedding, hnorm norm_hidden,
///                                                eh_proj M, shared_head.norm norm_out, a block as above, copies of the
///                                                embedding (embed_tokens) and the head (shared_head.head)
#pragma once
#include <string>
#include <type_traits>
#include <vector>

#include "reference/core/matrix.hpp"
#include "reference/model/config.hpp"

namespace dsv3 {

inline constexpr const char *hf_embedding = "model.embed_tokens.weight", *hf_final_norm = "model.norm.weight",
                            *hf_head = "lm_head.weight";

/// What the names of a layer's tensors begin with; MTP module k is layer L+k-1.
inline std::string hf_layer(Index layer) { return "model.layers." + std::to_string(layer) + "."; }

/// One tensor of the checkpoint and where its rows are in the model. Tensor is Matrix, const Matrix or Shape.
template <class Tensor>
struct HfTensor {
  std::string name;
  Tensor* first = nullptr;
  Tensor* second = nullptr;  ///< rows follow those of `first`, head by head
  Index heads = 1;
  Index rope_width = 0;       ///< if not 0: `second` holds rotary vectors of this width
  bool is_vector = false;     ///< [n] in the checkpoint, [1, n] in the model
  bool is_fp32 = false;       ///< always stored in FP32: b_i, whose updates vanish in BF16
  std::string original = {};  ///< if not empty: a copy, which may be missing, of the tensor of this name
};

template <class Tensor>
using HfTensors = std::vector<HfTensor<Tensor>>;

inline Shape shape_of(const Shape& shape) { return shape; }

/// Walks the weights of a model (of Matrix or of Shape) and collects their names.
template <class Tensor>
class HfNames {
 public:
  HfTensors<Tensor> all;

  template <class Mla>
  void attention(const std::string& at, const MlaConfig& c, Mla& w) {
    if (c.d_c_prime > 0) {
      matrix(at + "q_a_proj.weight", w.W_DQ);
      vector(at + "q_a_layernorm.weight", w.g_Q);
    }
    const char* const q = c.d_c_prime > 0 ? "q_b_proj.weight" : "q_proj.weight";
    all.push_back({at + q, &w.W_UQ, &w.W_QR, c.n_h, c.rope.width});
    all.push_back({at + "kv_a_proj_with_mqa.weight", &w.W_DKV, &w.W_KR, 1, c.rope.width});
    vector(at + "kv_a_layernorm.weight", w.g_KV);
    all.push_back({at + "kv_b_proj.weight", &w.W_UK, &w.W_UV, c.n_h});
    matrix(at + "o_proj.weight", w.W_O);
  }

  template <class Swiglu>
  void swiglu(const std::string& at, Swiglu& w) {
    matrix(at + "gate_proj.weight", w.W_gate);
    matrix(at + "up_proj.weight", w.W_up);
    matrix(at + "down_proj.weight", w.W_down);
  }

  template <class Moe>
  void ffn(const std::string& at, const MoeConfig& c, Moe& w) {
    if (c.gate.N_r == 0) return swiglu(at, w.shared);
    matrix(at + "gate.weight", w.e);
    if (c.gate.has_bias) all.push_back({at + "gate.e_score_correction_bias", &w.b, nullptr, 1, 0, true, true});
    swiglu(at + "shared_experts.", w.shared);
    for (std::size_t i = 0; i < w.experts.size(); ++i) swiglu(at + "experts." + std::to_string(i) + ".", w.experts[i]);
  }

  template <class Block>
  void block(const std::string& at, const MlaConfig& mla, const MoeConfig& moe, Block& w) {
    vector(at + "input_layernorm.weight", w.norm_attention.g);
    attention(at + "self_attn.", mla, w.mla);
    vector(at + "post_attention_layernorm.weight", w.norm_ffn.g);
    ffn(at + "mlp.", moe, w.ffn);
  }

  template <class Mtp>
  void mtp(const std::string& at, const ModelConfig& c, Mtp& w) {
    vector(at + "enorm.weight", w.norm_embedding.g);
    vector(at + "hnorm.weight", w.norm_hidden.g);
    matrix(at + "eh_proj.weight", w.M);
    block(at, c.mla, c.moe, w.block);
    vector(at + "shared_head.norm.weight", w.norm_out.g);
  }

  void matrix(std::string name, Tensor& w) { all.push_back({std::move(name), &w}); }
  void vector(std::string name, Tensor& w) { all.push_back({std::move(name), &w, nullptr, 1, 0, true}); }
  void copy(std::string name, Tensor& w, std::string original) {
    all.push_back({std::move(name), &w, nullptr, 1, 0, false, false, std::move(original)});
  }
};

/// Every tensor of the checkpoint of a model `w` with ModelWeights' members; `w` must outlive the result and keep its
/// vectors' sizes.
template <class Weights>
auto hf_tensors(const ModelConfig& c, Weights& w) {
  HfNames<std::remove_reference_t<decltype((w.embedding))>> names;
  names.matrix(hf_embedding, w.embedding);
  for (Index i = 0; i < std::ssize(w.blocks); ++i) {
    const bool dense = i < c.num_dense_layers;
    names.block(hf_layer(i), c.mla, dense ? MoeConfig{} : c.moe, w.blocks[static_cast<std::size_t>(i)]);
  }
  names.vector(hf_final_norm, w.norm_final.g);
  names.matrix(hf_head, w.head);
  for (Index k = 0; k < std::ssize(w.mtp); ++k) {
    const std::string at = hf_layer(c.L + k);
    names.mtp(at, c, w.mtp[static_cast<std::size_t>(k)]);
    names.copy(at + "embed_tokens.weight", w.embedding, hf_embedding);
    names.copy(at + "shared_head.head.weight", w.head, hf_head);
  }
  return names.all;
}

}  // namespace dsv3
