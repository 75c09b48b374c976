// SPDX-License-Identifier: MIT
/// \file
/// The members of a model's weights that a checkpoint holds, and a small model with random ones.
#pragma once
#include "reference/checkpoint/hf_checkpoint.hpp"
#include "tests/support/compare.hpp"

namespace dsv3::test {

template <class Tensor>
struct SwigluStandIn {
  Tensor W_gate, W_up, W_down;
};
template <class Tensor>
struct MlaStandIn {
  Tensor W_DQ, g_Q, W_UQ, W_QR, W_DKV, g_KV, W_KR, W_UK, W_UV, W_O;
};
template <class Tensor>
struct MoeStandIn {
  Tensor e, b;
  SwigluStandIn<Tensor> shared;
  std::vector<SwigluStandIn<Tensor>> experts;
};
template <class Tensor>
struct BlockStandIn {
  Tensor g_attention;
  MlaStandIn<Tensor> mla;
  Tensor g_ffn;
  MoeStandIn<Tensor> ffn;
};
template <class Tensor>
struct MtpStandIn {
  Tensor g_hidden, g_embedding, M;
  BlockStandIn<Tensor> block;
  Tensor g_out;
};
template <class Tensor>
struct ModelStandIn {
  Tensor embedding;
  std::vector<BlockStandIn<Tensor>> blocks;
  Tensor g, head;
  std::vector<MtpStandIn<Tensor>> mtp;
};

/// Two layers, one of them dense, one MTP module; every width another one, so that a swap shows in a shape.
inline ModelConfig small_config(bool compressed_queries = true) {
  ModelConfig c;
  c.V = 11;
  c.L = 2;
  c.num_dense_layers = 1;
  c.d_dense = 13;
  c.mla = {10, 2, 3, 5, 7, compressed_queries ? 6 : 0, {4, 10000, 64, {}}, 1e-6};
  c.moe = {10, 9, 9, {16, 4, 4, 2, Scoring::sigmoid, GroupScore::top2_sum, true, true, 2.5}};
  c.D = 1;
  return c;
}

/// Fills a model of Matrix with make(rows, cols), in a fixed order.
template <class Make>
ModelStandIn<Matrix> stand_in(const ModelConfig& c, const Make& make) {
  const auto swiglu = [&](Index d_ff) { return SwigluStandIn<Matrix>{make(d_ff, 10), make(d_ff, 10), make(10, d_ff)}; };
  const auto mla = [&] {
    const MlaConfig& a = c.mla;
    const bool compressed = a.d_c_prime > 0;
    const Index n_q = compressed ? a.d_c_prime : a.d;
    return MlaStandIn<Matrix>{compressed ? make(n_q, a.d) : Matrix(),
                              compressed ? make(1, n_q) : Matrix(),
                              make(a.n_h * a.d_h, n_q),
                              make(a.n_h * a.rope.width, n_q),
                              make(a.d_c, a.d),
                              make(1, a.d_c),
                              make(a.rope.width, a.d),
                              make(a.n_h * a.d_h, a.d_c),
                              make(a.n_h * a.d_v, a.d_c),
                              make(a.d, a.n_h * a.d_v)};
  };
  const auto moe = [&](bool dense) {
    MoeStandIn<Matrix> w;
    if (dense) {
      w.shared = swiglu(c.d_dense);
      return w;
    }
    w.e = make(c.moe.gate.N_r, 10);
    w.b = make(1, c.moe.gate.N_r);
    w.shared = swiglu(c.moe.d_shared);
    for (Index i = 0; i < c.moe.gate.N_r; ++i) w.experts.push_back(swiglu(c.moe.d_expert));
    return w;
  };
  const auto block = [&](bool dense) { return BlockStandIn<Matrix>{make(1, 10), mla(), make(1, 10), moe(dense)}; };
  ModelStandIn<Matrix> m;
  m.embedding = make(c.V, 10);
  for (Index i = 0; i < c.L; ++i) m.blocks.push_back(block(i < c.num_dense_layers));
  m.g = make(1, 10);
  m.head = make(c.V, 10);
  for (Index k = 0; k < c.D; ++k) m.mtp.push_back({make(1, 10), make(1, 10), make(10, 20), block(false), make(1, 10)});
  return m;
}

inline ModelStandIn<Matrix> random_stand_in(const ModelConfig& c) {
  std::uint64_t seed = 0;
  return stand_in(c, [&](Index rows, Index cols) { return probe(rows, cols, ++seed); });
}

inline ModelStandIn<Matrix> zero_stand_in(const ModelConfig& c) {
  return stand_in(c, [](Index rows, Index cols) { return Matrix(Matrix::Zero(rows, cols)); });
}

}  // namespace dsv3::test
