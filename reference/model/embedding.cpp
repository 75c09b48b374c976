// SPDX-License-Identifier: MIT
#include "reference/model/embedding.hpp"

#include "reference/core/require.hpp"
#include "reference/core/threads.hpp"

namespace dsv3 {

Matrix embed(const Matrix& embedding, std::span<const Token> tokens) {
  Matrix y(static_cast<Index>(tokens.size()), embedding.cols());
  for (Index i = 0; i < y.rows(); ++i) {
    require(tokens[i] >= 0 && tokens[i] < embedding.rows(), "embed", "token ", i, " is ", tokens[i],
            "; the vocabulary is 0 to ", embedding.rows() - 1);
    y.row(i) = embedding.row(tokens[i]);
  }
  return y;
}

void embed_backward(Matrix& d_embedding, std::span<const Token> tokens, const Matrix& dy) {
  require(static_cast<Index>(tokens.size()) == dy.rows() && dy.cols() == d_embedding.cols(), "embed_backward", "dy is ",
          shape_text(dy), "; it needs ", tokens.size(), " rows of ", d_embedding.cols());
  const Index block = 64;  // columns: a thread owns its columns of every row
  parallel_for((dy.cols() + block - 1) / block, [&](Index i) {
    const Index column = i * block, width = std::min(block, dy.cols() - column);
    for (Index t = 0; t < dy.rows(); ++t)
      d_embedding.row(tokens[t]).segment(column, width) += dy.row(t).segment(column, width);
  });
}

}  // namespace dsv3
