// SPDX-License-Identifier: MIT
#include "reference/linear/fp8_depth_error.hpp"

#include <algorithm>
#include <cmath>

#include "reference/core/random.hpp"
#include "reference/core/require.hpp"
#include "reference/linear/fp8_gemm.hpp"

namespace dsv3 {
namespace {

double draw(Samples samples, Random& random) {
  switch (samples) {
    case Samples::uniform:
      return random.uniform();
    case Samples::absolute_normal:
      return std::abs(random.normal());
    case Samples::normal:
      return random.normal();
    case Samples::symmetric_uniform:
      return 2 * random.uniform() - 1;
  }
  throw std::invalid_argument("error_against_depth: samples of an unknown kind");
}

/// Codes alone: the one scale is 1.
Quantised draw_codes(Samples samples, Index rows, Index cols, Random& random) {
  Scales x(rows, cols);
  for (float& value : x.reshaped<Eigen::RowMajor>()) value = static_cast<float>(draw(samples, random));
  Quantised quantised{Codes(rows, cols), Scales::Ones(1, 1), per_tensor(rows, cols)};
  const float to_code = 448 / x.cwiseAbs().maxCoeff();
  for (Index i = 0; i < x.size(); ++i)
    quantised.q.data()[i] = static_cast<std::uint8_t>(encode(quantised.format, x.data()[i] * to_code));
  return quantised;
}

/// The products of codes in double: exact, as they are multiples of 2^-18 below 2^53 - 18.
double exact_product(const Codes& a, const Codes& b, Index i, Index j) {
  const auto& values = values_of(FormatId::e4m3);
  double sum = 0;
  for (Index k = 0; k < a.cols(); ++k) sum += double{values[a(i, k)]} * values[b(j, k)];
  return sum;
}

DepthError error_at(const Accumulation& how, Samples samples, Index K, Index outputs, Random random) {
  const Quantised a = draw_codes(samples, outputs, K, random), b = draw_codes(samples, outputs, K, random);
  Scales y(outputs, outputs);
  fp8_fprop(y, operand_of(a), operand_of(b), {how});
  DepthError e{K, 0, 0, 0, 0};
  double largest = 0, toward_zero = 0, size = 0, squares = 0, exact_squares = 0;
  for (Index i = 0; i < outputs; ++i)
    for (Index j = 0; j < outputs; ++j) {
      const double exact = exact_product(a.q, b.q, i, j), error = y(i, j) - exact;
      e.max_relative = std::max(e.max_relative, std::abs(error / exact));
      toward_zero += std::abs(y(i, j)) - std::abs(exact);
      size += std::abs(exact);
      largest = std::max(largest, std::abs(error));
      squares += error * error;
      exact_squares += exact * exact;
    }
  const auto count = static_cast<double>(outputs * outputs);
  e.mean_relative = toward_zero / size;
  e.rms = std::sqrt(squares / exact_squares);
  e.max_over_rms = largest / std::sqrt(exact_squares / count);
  return e;
}

}  // namespace

std::vector<DepthError> error_against_depth(const Accumulation& how, Samples samples, std::span<const Index> depths,
                                            Index outputs, std::uint64_t seed) {
  require(outputs >= 1, "error_against_depth", "outputs is ", outputs, "; it must be at least 1");
  std::vector<DepthError> errors;
  for (const Index K : depths) {
    require(K >= 1, "error_against_depth", "a depth is ", K, "; it must be at least 1");
    errors.push_back(error_at(how, samples, K, outputs, stream(seed, static_cast<std::uint64_t>(K))));
  }
  return errors;
}

}  // namespace dsv3
