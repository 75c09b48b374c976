// SPDX-License-Identifier: MIT
/// \file
/// Permutation of tokens into the order of their experts and back, as data.
///
/// A *row* is one (token, slot) pair: slot k of token t asks for expert experts(t, k). Nothing is dropped or padded.
#pragma once
#include <span>
#include <vector>

#include "reference/moe/gate.hpp"

namespace dsv3 {

struct Dispatch {
  std::vector<Index> expert_begin{0};  ///< [N_r + 1] expert i owns rows expert_begin[i] .. expert_begin[i+1]-1
  std::vector<Index> token_of_row;     ///< [T K_r]
  std::vector<Index> slot_of_row;      ///< [T K_r]
  IndexMatrix row_of;                  ///< [T, K_r] the row of (token, slot)

  Index rows() const { return expert_begin.back(); }
  Index rows(Index expert) const { return expert_begin[expert + 1] - expert_begin[expert]; }
  /// The tokens of an expert, ascending.
  std::span<const Index> tokens(Index expert) const {
    return std::span(token_of_row).subspan(expert_begin[expert], rows(expert));
  }
};

/// Counting sort of the (token, slot) pairs by expert; the rows of an expert keep the order of tokens, then of slots.
/// Throws std::invalid_argument for an expert outside 0 .. N_r-1.
Dispatch sort_by_expert(const IndexMatrix& experts, Index N_r);

/// Rows `tokens` of x: the inputs of one expert (dispatch.tokens(i)) or of all (dispatch.token_of_row).
Matrix gather(const Matrix& x, std::span<const Index> tokens);

/// The weights g [T, K_r] in the order of the rows of an expert, [rows(expert), 1].
Matrix gather_weights(const Dispatch& dispatch, const Matrix& g, Index expert);

/// Combine, the last sum of Eq. (12): h_prime_t += sum over the experts i of t of g_{i,t} y_row; y [T K_r, d].
/// Its gradient for y is gather and scale: dy_row = g dh_prime_t; for g it is dg(t, k) = <y_row, dh_prime_t>.
///
/// Numerics contract: one product and one sum of `real` per term, experts in ascending order as the equation is
/// written, added to what h_prime holds.
void add_combined(Matrix& h_prime, const Dispatch& dispatch, const Matrix& g, const Matrix& y);

/// The gradient of gather: du_t += sum of the rows of t, in ascending order of their experts.
void add_scattered(Matrix& du, const Dispatch& dispatch, const Matrix& du_rows);

}  // namespace dsv3
