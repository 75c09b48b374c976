// SPDX-License-Identifier: MIT
/// \file
/// Emb(t): a row of the embedding matrix per token.
#pragma once
#include <span>

#include "reference/core/matrix.hpp"
#include "reference/data/token.hpp"

namespace dsv3 {

/// y_i = embedding[t_i], [T, d]. Throws std::invalid_argument for a token outside 0 .. V-1.
Matrix embed(const Matrix& embedding, std::span<const Token> tokens);

/// d_embedding[t_i] += dy_i, in the order of the rows: the same bits for any number of threads.
void embed_backward(Matrix& d_embedding, std::span<const Token> tokens, const Matrix& dy);

}  // namespace dsv3
