// SPDX-License-Identifier: MIT
/// \file
/// The weights of Multi-head Latent Attention under the report's letters.
#pragma once
#include "reference/core/parameters.hpp"
#include "reference/mla/config.hpp"

namespace dsv3 {

/// Rows of the matrices for all heads are head-major: head i owns rows i width .. (i+1) width - 1.
/// The released files hold some of them joined: wq_b is per head [W_UQ; W_QR], wkv_a is [W_DKV; W_KR], wkv_b is per
/// head [W_UK; W_UV].
template <class Tensor>
struct MlaWeights {
  Tensor W_DQ;   ///< [d_c', d], Eq. (6); [0, 0] without query compression
  Tensor g_Q;    ///< [1, d_c'], gain of the RMSNorm on c_Q; [0, 0] without query compression
  Tensor W_UQ;   ///< [n_h d_h, d_c'], Eq. (7); [n_h d_h, d] without query compression
  Tensor W_QR;   ///< [n_h d_h^R, d_c'], Eq. (8); [n_h d_h^R, d] without query compression
  Tensor W_DKV;  ///< [d_c, d], Eq. (1)
  Tensor g_KV;   ///< [1, d_c], gain of the RMSNorm on c_KV
  Tensor W_KR;   ///< [d_h^R, d], Eq. (3): one rotary key for all heads
  Tensor W_UK;   ///< [n_h d_h, d_c], Eq. (2)
  Tensor W_UV;   ///< [n_h d_v, d_c], Eq. (5)
  Tensor W_O;    ///< [d, n_h d_v], Eq. (11)

  template <class F, class... W>
  static void visit(const std::string& prefix, F&& f, W&... w) {
    f(Role::weight, prefix + "W_DQ", w.W_DQ...);
    f(Role::gain, prefix + "g_Q", w.g_Q...);
    f(Role::weight, prefix + "W_UQ", w.W_UQ...);
    f(Role::weight, prefix + "W_QR", w.W_QR...);
    f(Role::weight, prefix + "W_DKV", w.W_DKV...);
    f(Role::gain, prefix + "g_KV", w.g_KV...);
    f(Role::weight, prefix + "W_KR", w.W_KR...);
    f(Role::weight, prefix + "W_UK", w.W_UK...);
    f(Role::weight, prefix + "W_UV", w.W_UV...);
    f(Role::weight, prefix + "W_O", w.W_O...);
  }
};

inline MlaWeights<Shape> mla_shapes(const MlaConfig& c) {
  const Index d_h_R = c.rope.width;
  const bool compressed = c.d_c_prime > 0;
  const Index query_in = compressed ? c.d_c_prime : c.d;
  return {.W_DQ = compressed ? Shape{c.d_c_prime, c.d} : Shape{},
          .g_Q = compressed ? Shape{1, c.d_c_prime} : Shape{},
          .W_UQ = {c.n_h * c.d_h, query_in},
          .W_QR = {c.n_h * d_h_R, query_in},
          .W_DKV = {c.d_c, c.d},
          .g_KV = {1, c.d_c},
          .W_KR = {d_h_R, c.d},
          .W_UK = {c.n_h * c.d_h, c.d_c},
          .W_UV = {c.n_h * c.d_v, c.d_c},
          .W_O = {c.d, c.n_h * c.d_v}};
}

}  // namespace dsv3
