// SPDX-License-Identifier: MIT
/// \file
/// Decoding with the latent cache: the absorbed form of MLA and the form that expands the cache.
#pragma once
#include "reference/mla/mla.hpp"

namespace dsv3 {

/// What is kept of the tokens of one sequence in one layer: d_c + d_h^R values a token, 576 in V3, for any number of
/// heads.
struct LatentCache {
  Matrix rows;       ///< [capacity, d_c + d_h^R]: [c_KV_hat; k_R] of each token, normalised and rotated
  Index length = 0;  ///< tokens held; a smaller value forgets the last ones

  ConstView tokens() const { return rows.topRows(length); }
  ConstView c_KV_hat(Index d_c) const { return rows.topLeftCorner(length, d_c); }
  ConstView k_R(Index d_c) const { return rows.topRightCorner(length, rows.cols() - d_c); }

  /// New tokens at positions length, length + 1, ...: c_KV_hat [n, d_c], k_R [n, d_h^R]. The capacity doubles when it
  /// is reached, so a token costs the same on average however many there are.
  /// Throws std::invalid_argument where their rows differ or their widths are not those of the cache.
  void append(const Matrix& c_KV_hat, const Matrix& k_R);
};

/// d_c + d_h^R: what a layer's cache holds for a token.
inline Index cached_values_per_token(const MlaConfig& config) { return config.d_c + config.rope.width; }

/// u for n new tokens h [n, d] of one sequence at positions cache.length, +1, ..., which are appended to the cache; the
/// same function of the sequence as Mla::forward, in another order of the sums:
///
///     q~_i = (W_UK_i)^T q_C_i,   z_i = sum over j <= t of softmax_j(scale (q~_i c_KV_hat_j + q_R_i k_R_j)) c_KV_hat_j,
///     o_i = W_UV_i z_i,          W_UK_i and W_UV_i the rows of head i:
///
/// multi-query attention with one key [c_KV_hat; k_R] and one value c_KV_hat for all heads (section 2.1.1; V2 paper).
/// The scale stays that of Mla, over d_h + d_h^R.
///
/// Numerics contract: as Mla; q~ and o_i follow context.precision, what the cache holds is not rounded. Agrees with
/// cached_attention to the rounding of `real` in fp32; in bf16 the rounded values are other ones.
/// context.sequences is not read: the positions come from the cache. Throws std::invalid_argument, the cache unchanged,
/// where shapes do not fit or a position reaches max_length.
Matrix absorbed_attention(const Mla& mla, const Mla::Params& p, const Matrix& h, LatentCache& cache,
                          const Context& context);

/// The same with k_C and v_C of all cached tokens made again, Eqs. (2) and (5), as in training.
Matrix cached_attention(const Mla& mla, const Mla::Params& p, const Matrix& h, LatentCache& cache,
                        const Context& context);

}  // namespace dsv3
