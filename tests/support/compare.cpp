// SPDX-License-Identifier: MIT
#include "tests/support/compare.hpp"

#include <cmath>
#include <cstring>

#include "reference/core/random.hpp"
#include "reference/core/require.hpp"

namespace dsv3::test {

Matrix matrix(std::initializer_list<std::initializer_list<double>> rows) {
  Matrix m(static_cast<Index>(rows.size()), static_cast<Index>(rows.begin()->size()));
  Index i = 0;
  for (const auto& row : rows) {
    Index j = 0;
    for (const double value : row) m(i, j++) = static_cast<real>(value);
    ++i;
  }
  return m;
}

namespace {
template <class Ok>
std::string first_bad(const ConstView& a, const ConstView& b, const Ok& ok) {
  if (a.rows() != b.rows() || a.cols() != b.cols()) return concat("shapes ", shape_text(a), " and ", shape_text(b));
  if (a.size() == 0) return "nothing to compare";
  for (Index i = 0; i < a.rows(); ++i)
    for (Index j = 0; j < a.cols(); ++j)
      if (!ok(a(i, j), b(i, j))) {
        std::ostringstream out;
        out.precision(17);
        out << "at (" << i << ", " << j << "): " << a(i, j) << " and " << b(i, j);
        return out.str();
      }
  return {};
}
}  // namespace

std::string outside(const ConstView& a, const ConstView& b, double bound) {
  return first_bad(a, b, [&](real x, real y) { return std::abs(double{x} - double{y}) <= bound; });
}

std::string different(const ConstView& a, const ConstView& b) {
  return first_bad(a, b, [](real x, real y) { return std::memcmp(&x, &y, sizeof x) == 0; });
}

double max_abs(const ConstView& m) {
  return m.size() ? static_cast<double>(m.cwiseAbs().maxCoeff<Eigen::PropagateNaN>()) : 0;
}

Matrix probe(Index rows, Index cols, std::uint64_t seed) {
  Random random(seed);
  return normal_matrix(rows, cols, 1, random);
}

double derivative_error(const std::function<double()>& f, Matrix& x, const Matrix& gradient, std::uint64_t seed) {
  if (x.rows() != gradient.rows() || x.cols() != gradient.cols() || x.size() == 0) return INFINITY;
  const Matrix direction = probe(x.rows(), x.cols(), seed), at = x;
  const double claimed = (gradient.array() * direction.array()).sum();
  const auto f_at = [&](double step) {
    x = at + static_cast<real>(step) * direction;
    const double value = f();
    x = at;
    return value;
  };
  double best = INFINITY;
  for (double h : {1e-3, 3e-4, 1e-4, 3e-5}) {
    const double measured = (8 * (f_at(h) - f_at(-h)) - (f_at(2 * h) - f_at(-2 * h))) / (12 * h);
    const double error = std::abs(measured - claimed) / std::max(std::abs(measured), std::abs(claimed));
    if (!(error >= best)) best = std::isnan(error) ? (measured == 0 && claimed == 0 ? 0 : INFINITY) : error;
  }
  return best;
}

}  // namespace dsv3::test
