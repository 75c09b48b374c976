// SPDX-License-Identifier: MIT
#include "reference/checkpoint/hf_layout.hpp"

#include "reference/core/require.hpp"

namespace dsv3 {

namespace {
void require_heads(const char* where, Index heads, const Matrix& first, const Matrix& second) {
  require(heads >= 1 && first.rows() % heads == 0 && second.rows() % heads == 0, where, "rows of ", shape_text(first),
          " and ", shape_text(second), " must be multiples of ", heads, " heads");
  require(first.cols() == second.cols(), where, shape_text(first), " and ", shape_text(second),
          " need the same number of columns");
}
}  // namespace

Matrix join_heads(const Matrix& first, const Matrix& second, Index heads) {
  require_heads("join_heads", heads, first, second);
  const Index a = first.rows() / heads, b = second.rows() / heads;
  Matrix joint(heads * (a + b), first.cols());
  for (Index h = 0; h < heads; ++h) {
    joint.middleRows(h * (a + b), a) = first.middleRows(h * a, a);
    joint.middleRows(h * (a + b) + a, b) = second.middleRows(h * b, b);
  }
  return joint;
}

void split_heads(const Matrix& joint, Index heads, Matrix& first, Matrix& second) {
  require_heads("split_heads", heads, first, second);
  require(joint.rows() == first.rows() + second.rows() && joint.cols() == first.cols(), "split_heads",
          shape_text(joint), " does not hold ", shape_text(first), " and ", shape_text(second));
  const Index a = first.rows() / heads, b = second.rows() / heads;
  for (Index h = 0; h < heads; ++h) {
    first.middleRows(h * a, a) = joint.middleRows(h * (a + b), a);
    second.middleRows(h * b, b) = joint.middleRows(h * (a + b) + a, b);
  }
}

}  // namespace dsv3
