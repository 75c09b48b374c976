// SPDX-License-Identifier: MIT
/// \file
/// One description of the tensors of a layer serves weights, gradients, moments, shapes, checkpoints and counts.
///
/// A layer's weights are a template `XWeights<Tensor>` with Tensor = Matrix or Shape and a static member
///     template <class F, class... W> static void visit(const std::string& prefix, F&& f, W&... w)
/// that calls f(role, prefix + "name", w.tensor...) for each tensor, so that any number of such structs (of one layer)
/// are walked side by side; and, if it holds vectors, a member `match(other)` that resizes them like `other`'s.
#pragma once
#include <string>
#include <vector>

#include "reference/core/matrix.hpp"
#include "reference/core/memory.hpp"

namespace dsv3 {

enum class Role {
  weight,  ///< a matrix: trained, decayed
  gain,    ///< of an RMSNorm: trained, not decayed
  bias     ///< b_i of Eq. (16): not trained by gradients
};

struct NamedTensor {
  std::string name;
  Role role;
  Matrix* value;
};

/// Every tensor that is there (not [0, 0]), in the order of the description.
template <class Weights>
std::vector<NamedTensor> tensors_of(Weights& weights, const std::string& prefix = "") {
  std::vector<NamedTensor> all;
  Weights::visit(
      prefix,
      [&](Role role, const std::string& name, Matrix& m) {
        if (m.size() > 0) all.push_back({name, role, &m});
      },
      weights);
  return all;
}

/// Number of values, straight from the structure.
template <template <class> class Weights>
Index count(const Weights<Shape>& shapes) {
  Index total = 0;
  Weights<Shape>::visit(
      "", [&](Role, const std::string&, const Shape& s) { total += size(s); }, shapes);
  return total;
}

/// Zero matrices of the given shapes.
template <template <class> class Weights>
Weights<Matrix> zeros(const Weights<Shape>& shapes) {
  expect_large_tensors(static_cast<std::size_t>(count(shapes)) * sizeof(real));
  Weights<Matrix> weights;
  if constexpr (requires { weights.match(shapes); }) weights.match(shapes);
  Weights<Matrix>::visit(
      "", [](Role, const std::string&, const Shape& s, Matrix& m) { m = Matrix::Zero(s.rows, s.cols); }, shapes,
      weights);
  return weights;
}

}  // namespace dsv3
