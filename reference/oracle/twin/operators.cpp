// SPDX-License-Identifier: MIT
// Operators that compute: element by element, sums and products.
#include "reference/oracle/twin/operators.hpp"

#include <cmath>

#include "reference/oracle/twin/sum.hpp"

namespace dsv3::oracle {
namespace {

Index spread_over(Index n, Index all) { return n == 1 ? 0 : all; }  // index i of a dimension of n

/// y = f(a, b) for each element, with what f's derivatives make of dy.
template <class F, class Da, class Db>
Var each(Var a, Var b, F f, Da da, Db db) {
  const Estimate &x = a.value(), &y = b.value();
  expect((x.rows == y.rows || x.rows == 1 || y.rows == 1) && (x.cols == y.cols || x.cols == 1 || y.cols == 1),
         "shapes do not fit");
  Estimate out(x.rows == 1 ? y.rows : x.rows, x.cols == 1 ? y.cols : x.cols);
  const auto of = [](const Estimate& e, Index i, Index j) -> const Approx& {
    return e(spread_over(e.rows, i), spread_over(e.cols, j));
  };
  for (Index i = 0; i < out.rows; ++i)
    for (Index j = 0; j < out.cols; ++j) out(i, j) = f(of(x, i, j), of(y, i, j));
  const auto hand_on = [=](const Estimate& d, const Estimate&) {
    const Estimate &p = a.value(), &q = b.value();
    const auto back = [&](Var to, auto slope) {
      const Estimate& e = to.value();
      // One sum for each element of `to`, over all those it was used for.
      for (Index i = 0; i < e.rows; ++i)
        for (Index j = 0; j < e.cols; ++j) {
          Sum sum(to.tape->arithmetic());
          for (Index r = e.rows == 1 ? 0 : i; r < (e.rows == 1 ? d.rows : i + 1); ++r)
            for (Index c = e.cols == 1 ? 0 : j; c < (e.cols == 1 ? d.cols : j + 1); ++c)
              sum.add(slope(d(r, c), of(p, r, c), of(q, r, c)));
          to.tape->accumulate(to, i, j, sum.sum());
        }
    };
    back(a, da), back(b, db);
  };
  return a.tape->put(std::move(out), hand_on);
}

/// y = f(x) for each element; slope(dy, x, y).
template <class F, class Slope>
Var each(Var x, F f, Slope slope) {
  Estimate out = x.value();
  for (Approx& a : out.at) a = f(a);
  return x.tape->put(std::move(out), [=](const Estimate& d, const Estimate& y) {
    const Estimate& e = x.value();
    for (Index i = 0; i < e.rows; ++i)
      for (Index j = 0; j < e.cols; ++j) x.tape->accumulate(x, i, j, slope(d(i, j), e(i, j), y(i, j)));
  });
}

/// a b^T.
Estimate multiplied(const Estimate& a, const Estimate& b, const Arithmetic& how) {
  expect(a.cols == b.cols, "product of matrices of other widths");
  Estimate out(a.rows, b.rows);
  for (Index i = 0; i < a.rows; ++i)
    for (Index j = 0; j < b.rows; ++j) {
      Sum sum(how);
      for (Index k = 0; k < a.cols; ++k) sum.add(a(i, k) * b(j, k));
      out(i, j) = sum.sum();
    }
  return out;
}

Estimate turned(const Estimate& a) {
  Estimate out(a.cols, a.rows);
  for (Index i = 0; i < a.rows; ++i)
    for (Index j = 0; j < a.cols; ++j) out(j, i) = a(i, j);
  return out;
}

}  // namespace

Var operator+(Var a, Var b) {
  return each(
      a, b, [](auto& x, auto& y) { return x + y; }, [](auto& d, auto&, auto&) { return d; },
      [](auto& d, auto&, auto&) { return d; });
}

Var operator-(Var a, Var b) {
  return each(
      a, b, [](auto& x, auto& y) { return x - y; }, [](auto& d, auto&, auto&) { return d; },
      [](auto& d, auto&, auto&) { return -d; });
}

Var operator*(Var a, Var b) {
  return each(
      a, b, [](auto& x, auto& y) { return x * y; }, [](auto& d, auto&, auto& y) { return d * y; },
      [](auto& d, auto& x, auto&) { return d * x; });
}

Var operator/(Var a, Var b) {
  return each(
      a, b, [](auto& x, auto& y) { return x / y; }, [](auto& d, auto&, auto& y) { return d / y; },
      [](auto& d, auto& x, auto& y) { return -(d * (x / y) / y); });
}

Var operator*(double a, Var b) { return b.tape->constant(a) * b; }
Var operator+(Var a, double b) { return a + a.tape->constant(b); }

Var sqrt(Var x) {
  return each(
      x, [](auto& a) { return sqrt(a); },
      [](auto& d, auto&, auto& y) {
        return d / Approx{2 * y.value, 2 * y.bound, 4 * y.variance};
      });
}

Var exp(Var x) {
  return each(
      x, [](auto& a) { return exp(a); }, [](auto& d, auto&, auto& y) { return d * y; });
}

Var log(Var x) {
  return each(
      x, [](auto& a) { return log(a); }, [](auto& d, auto& a, auto&) { return d / a; });
}

Var sigmoid(Var x) {
  return each(
      x, [](auto& a) { return sigmoid(a); }, [](auto& d, auto&, auto& s) { return d * s * (Approx{1} - s); });
}

Var tanh(Var x) {
  return each(
      x, [](auto& a) { return tanh(a); }, [](auto& d, auto&, auto& y) { return d * (Approx{1} - y * y); });
}

Var cos(Var x) {
  return each(
      x, [](auto& a) { return cos(a); }, [](auto& d, auto& a, auto&) { return -(d * sin(a)); });
}

Var sin(Var x) {
  return each(
      x, [](auto& a) { return sin(a); }, [](auto& d, auto& a, auto&) { return d * cos(a); });
}

Var product(Var a, Var b) {
  return a.tape->put(multiplied(a.value(), b.value(), a.tape->arithmetic()), [=](const Estimate& d, const Estimate&) {
    const Arithmetic& how = a.tape->arithmetic();
    accumulate(a, multiplied(d, turned(b.value()), how));          // da = d b
    accumulate(b, multiplied(turned(d), turned(a.value()), how));  // db = d^T a
  });
}

Var row_sums(Var a) {
  Estimate out(a.rows(), 1);
  for (Index i = 0; i < a.rows(); ++i) {
    Sum sum(a.tape->arithmetic());
    for (Index j = 0; j < a.cols(); ++j) sum.add(a.value()(i, j));
    out(i, 0) = sum.sum();
  }
  return a.tape->put(std::move(out), [=](const Estimate& d, const Estimate&) {
    for (Index i = 0; i < a.rows(); ++i)
      for (Index j = 0; j < a.cols(); ++j) a.tape->accumulate(a, i, j, d(i, 0));
  });
}

Var sum_of(const std::vector<Var>& terms) {
  expect(!terms.empty(), "a sum of nothing");
  Estimate out = terms.front().value();
  for (std::size_t i = 0; i < out.at.size(); ++i) {
    Sum sum(terms.front().tape->arithmetic());
    for (const Var term : terms) {
      expect(term.rows() == out.rows && term.cols() == out.cols, "terms of other shapes");
      sum.add(term.value().at[i]);
    }
    out.at[i] = sum.sum();
  }
  return terms.front().tape->put(std::move(out), [=](const Estimate& d, const Estimate&) {
    for (const Var term : terms) accumulate(term, d);
  });
}

Var column_sums(Var a) { return transposed(row_sums(transposed(a))); }

Var softmax_rows(Var x) {
  const Var e = exp(x - row_maxima(x));
  return each(
      e / row_sums(e),
      [](auto& p) {
        return Approx{p.value, std::min(p.bound, 1.0), std::min(p.variance, 1.0)};
      },  // 0 <= p <= 1
      [](auto& d, auto&, auto&) { return d; });
}

Var rms_normalised(Var x, Var g, double eps) {
  return x / sqrt((1.0 / static_cast<double>(x.cols())) * row_sums(x * x) + eps) * g;
}

}  // namespace dsv3::oracle
