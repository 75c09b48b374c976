// SPDX-License-Identifier: MIT
#include "reference/oracle/twin/tape.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "reference/formats/bounds.hpp"
#include "reference/formats/cast.hpp"

namespace dsv3::oracle {
namespace {

void expect(bool fits, const char* what) {
  if (!fits) throw std::logic_error(std::string("oracle twin: ") + what);
}

/// x rounded to FP32, and then to the format.
double to(std::optional<FormatId> format, double x) {
  const float once = static_cast<float>(x);
  return format ? decode(*format, encode(*format, once)) : once;
}

/// The same; what is too large becomes infinite.
double overflowing(FormatId format, double x, Rounding rounding) {
  return decode(format, encode(format, static_cast<float>(x), rounding, Overflow::non_saturate));
}

/// The terms of a sum, added up as the tape's arithmetic does.
class Sum {
 public:
  explicit Sum(const Arithmetic& how) : how_(how) {}
  void add(const Approx& term) {
    if (how_.exact) any_.add(term);
    else terms_.push_back(term.value);
  }
  Approx sum() {
    if (how_.exact) return any_.sum();
    if (how_.descending) std::ranges::reverse(terms_);
    return {std::accumulate(terms_.begin(), terms_.end(), 0.0,
                            [&](double sum, double term) { return to(how_.sums, sum + to(how_.format, term)); })};
  }

 private:
  const Arithmetic& how_;
  AnySum any_;
  std::vector<double> terms_;
};

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

/// y(i, j) = x(from(i, j)), without a rounding.
template <class From>
Var moved(Var x, Index rows, Index cols, From from) {
  Estimate out(rows, cols);
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j) {
      const auto [r, c] = from(i, j);
      out(i, j) = x.value()(r, c);
    }
  return x.tape->put(std::move(out), [=](const Estimate& d, const Estimate&) {
    // An element may have gone to several places, whose gradients are added up in any order.
    const Index width = x.cols();
    std::vector<std::optional<Sum>> sums(x.value().at.size());
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < cols; ++j) {
        const auto [r, c] = from(i, j);
        auto& sum = sums[static_cast<std::size_t>(r * width + c)];
        if (!sum) sum.emplace(x.tape->arithmetic());
        sum->add(d(i, j));
      }
    for (Index k = 0; k < std::ssize(sums); ++k)
      if (auto& sum = sums[static_cast<std::size_t>(k)]) x.tape->accumulate(x, k / width, k % width, sum->sum());
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

void accumulate(Var x, const Estimate& dx) {
  for (Index i = 0; i < dx.rows; ++i)
    for (Index j = 0; j < dx.cols; ++j) x.tape->accumulate(x, i, j, dx(i, j));
}

}  // namespace

const Estimate& Var::value() const { return tape->nodes_[id].value; }

Var Tape::put(Estimate value, HandOn hand_on) {
  if (!arithmetic_.exact)
    for (Approx& a : value.at) a = {to(arithmetic_.format, a.value)};
  nodes_.push_back({std::move(value), {}, std::move(hand_on)});
  return {this, nodes_.size() - 1};
}

Var Tape::input(Estimate value) {
  nodes_.push_back({std::move(value), {}, {}});
  return {this, nodes_.size() - 1};
}

Var Tape::constant(double value) {
  Estimate one(1, 1);
  one(0, 0).value = value;
  return input(std::move(one));
}

void Tape::accumulate(Var x, Index i, Index j, const Approx& dx) {
  Estimate& gradient = nodes_[x.id].gradient;
  if (gradient.at.empty()) gradient = Estimate(x.rows(), x.cols());
  Approx& sum = gradient(i, j);
  sum = sum.value == 0 && sum.bound == 0 ? dx : sum + dx;
  if (!arithmetic_.exact) sum = {to(arithmetic_.format, sum.value)};
}

void Tape::backward(const std::vector<std::pair<Var, Estimate>>& seeds,
                    const std::vector<std::pair<Var, Passing>>& passing) {
  for (const auto& [y, dy] : seeds) oracle::accumulate(y, dy);
  for (std::size_t id = nodes_.size(); id-- > 0;) {
    Node& node = nodes_[id];
    for (const auto& [x, see] : passing)
      if (x.id == id) node.gradient = see(gradient(x));
    if (node.hand_on && !node.gradient.at.empty()) node.hand_on(node.gradient, node.value);
  }
}

Estimate Tape::gradient(Var x) const {
  const Estimate& found = nodes_[x.id].gradient;
  return found.at.empty() ? Estimate(x.rows(), x.cols()) : found;
}

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

Var transposed(Var a) {
  return moved(a, a.cols(), a.rows(), [](Index i, Index j) { return std::pair(j, i); });
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

Var columns(Var a, const std::vector<Index>& which) {
  return moved(a, a.rows(), static_cast<Index>(which.size()),
               [=](Index i, Index j) { return std::pair(i, which[static_cast<std::size_t>(j)]); });
}

Var columns(Var a, Index begin, Index count) {
  return moved(a, a.rows(), count, [=](Index i, Index j) { return std::pair(i, begin + j); });
}

Var rows(Var a, const std::vector<Index>& which) {
  return moved(a, static_cast<Index>(which.size()), a.cols(),
               [=](Index i, Index j) { return std::pair(which[static_cast<std::size_t>(i)], j); });
}

Var picked(Var x, const std::vector<std::vector<Index>>& which) {
  return moved(x, x.rows(), which.empty() ? 0 : std::ssize(which.front()), [=](Index i, Index j) {
    return std::pair(i, which[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)]);
  });
}

Var beside(const std::vector<Var>& parts) {
  std::vector<Var> turned_parts;
  for (const Var part : parts) turned_parts.push_back(transposed(part));
  return transposed(below(turned_parts));
}

Var below(const std::vector<Var>& parts) {
  expect(!parts.empty(), "nothing to put below each other");
  Estimate out(0, parts.front().cols());
  for (const Var part : parts) {
    expect(part.cols() == out.cols, "parts of other widths");
    out.at.insert(out.at.end(), part.value().at.begin(), part.value().at.end());
    out.rows += part.rows();
  }
  return parts.front().tape->put(std::move(out), [=](const Estimate& d, const Estimate&) {
    Index begin = 0;
    for (const Var part : parts) {
      for (Index i = 0; i < part.rows(); ++i)
        for (Index j = 0; j < part.cols(); ++j) part.tape->accumulate(part, i, j, d(begin + i, j));
      begin += part.rows();
    }
  });
}

Var where(const std::function<bool(Index, Index)>& keep, Var x, double otherwise) {
  Estimate out = x.value();
  for (Index i = 0; i < out.rows; ++i)
    for (Index j = 0; j < out.cols; ++j)
      if (!keep(i, j)) out(i, j) = {otherwise};
  return x.tape->put(std::move(out), [=](const Estimate& d, const Estimate&) {
    for (Index i = 0; i < d.rows; ++i)
      for (Index j = 0; j < d.cols; ++j)
        if (keep(i, j)) x.tape->accumulate(x, i, j, d(i, j));
  });
}

Var row_maxima(Var x) {
  Estimate out(x.rows(), 1);
  for (Index i = 0; i < x.rows(); ++i) {
    out(i, 0).value = -INFINITY;
    for (Index j = 0; j < x.cols(); ++j) out(i, 0).value = std::max(out(i, 0).value, x.value()(i, j).value);
  }
  return x.tape->input(std::move(out));
}

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

Var replaced(Var x, Estimate values) {
  return x.tape->put(std::move(values), [=](const Estimate& d, const Estimate&) { accumulate(x, d); });
}

Var in_format(Var x, FormatId format, Rounding rounding) {
  Estimate out = x.value();
  for (Approx& a : out.at) {
    const double y = overflowing(format, a.value, rounding), error = other_forms * a.bound;
    const double low = overflowing(format, a.value - error, rounding);
    const double high = overflowing(format, a.value + error, rounding);
    a = low == high ? Approx{y} : widened({y}, std::max(high - y, y - low) / other_forms);
  }
  return x.tape->put(std::move(out), [=](const Estimate& d, const Estimate&) { accumulate(x, d); });
}

Var kept_in_bf16(Var x) {
  Estimate out = x.value();
  if (x.tape->arithmetic().exact)
    for (Approx& a : out.at)
      a = widened(a, cast_bound(FormatId::bf16, std::min(std::abs(a.value) + a.bound, 0x1.FEp127)));
  return x.tape->put(std::move(out), [=](const Estimate& d, const Estimate&) { accumulate(x, d); });
}

}  // namespace dsv3::oracle
