// SPDX-License-Identifier: MIT
#include "reference/moe/dispatch.hpp"

#include <algorithm>
#include <numeric>

#include "reference/core/require.hpp"
#include "reference/core/threads.hpp"

namespace dsv3 {
namespace {

/// f(token, row) for the rows of each token in ascending order, which is that of their experts.
template <class F>
void for_each_row_of_token(const char* where, const Dispatch& dispatch, const Matrix& out, const Matrix& rows,
                           const F& f) {
  const IndexMatrix& row_of = dispatch.row_of;
  require(out.rows() == row_of.rows() && rows.rows() == dispatch.rows() && out.cols() == rows.cols(), where,
          "the result is ", shape_text(out), " and the rows are ", shape_text(rows), "; they need ", row_of.rows(),
          " tokens and ", dispatch.rows(), " rows of the same width");
  parallel_rows(out.rows(), [&](Index begin, Index count) {
    std::vector<Index> ascending(row_of.cols());
    for (Index t = begin; t < begin + count; ++t) {
      std::copy_n(row_of.row(t).data(), row_of.cols(), ascending.begin());
      std::sort(ascending.begin(), ascending.end());
      for (const Index row : ascending) f(t, row);
    }
  });
}

}  // namespace

Dispatch sort_by_expert(const IndexMatrix& experts, Index N_r) {
  const Index T = experts.rows(), K_r = experts.cols();
  Dispatch dispatch;
  dispatch.expert_begin.assign(N_r + 1, 0);
  for (Index i = 0; i < experts.size(); ++i) {
    const Index expert = experts.data()[i];
    require(expert >= 0 && expert < N_r, "sort_by_expert", "token ", i / K_r, " asks for expert ", expert,
            "; there are ", N_r);
    ++dispatch.expert_begin[expert + 1];
  }
  std::partial_sum(dispatch.expert_begin.begin(), dispatch.expert_begin.end(), dispatch.expert_begin.begin());

  dispatch.token_of_row.resize(experts.size());
  dispatch.slot_of_row.resize(experts.size());
  dispatch.row_of.resize(T, K_r);
  std::vector<Index> next(dispatch.expert_begin.begin(), dispatch.expert_begin.end() - 1);
  for (Index t = 0; t < T; ++t)
    for (Index k = 0; k < K_r; ++k) {
      const Index row = next[experts(t, k)]++;
      dispatch.token_of_row[row] = t;
      dispatch.slot_of_row[row] = k;
      dispatch.row_of(t, k) = row;
    }
  return dispatch;
}

Matrix gather(const Matrix& x, std::span<const Index> tokens) {
  Matrix rows(static_cast<Index>(tokens.size()), x.cols());
  parallel_rows(rows.rows(), [&](Index begin, Index count) {
    for (Index r = begin; r < begin + count; ++r) rows.row(r) = x.row(tokens[r]);
  });
  return rows;
}

Matrix gather_weights(const Dispatch& dispatch, const Matrix& g, Index expert) {
  const Index begin = dispatch.expert_begin[expert];
  Matrix weights(dispatch.rows(expert), 1);
  for (Index r = 0; r < weights.rows(); ++r)
    weights(r, 0) = g(dispatch.token_of_row[begin + r], dispatch.slot_of_row[begin + r]);
  return weights;
}

void add_combined(Matrix& h_prime, const Dispatch& dispatch, const Matrix& g, const Matrix& y) {
  require(g.rows() == dispatch.row_of.rows() && g.cols() == dispatch.row_of.cols(), "add_combined", "g is ",
          shape_text(g), "; it must be [", dispatch.row_of.rows(), ", ", dispatch.row_of.cols(), "]");
  for_each_row_of_token("add_combined", dispatch, h_prime, y,
                        [&](Index t, Index row) { h_prime.row(t) += g(t, dispatch.slot_of_row[row]) * y.row(row); });
}

void add_scattered(Matrix& du, const Dispatch& dispatch, const Matrix& du_rows) {
  for_each_row_of_token("add_scattered", dispatch, du, du_rows,
                        [&](Index t, Index row) { du.row(t) += du_rows.row(row); });
}

}  // namespace dsv3
