// SPDX-License-Identifier: MIT
// Operators that move, choose and round what is there.
#include <cmath>

#include "reference/formats/bounds.hpp"
#include "reference/oracle/twin/operators.hpp"
#include "reference/oracle/twin/sum.hpp"

namespace dsv3::oracle {
namespace {

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

/// x rounded to FP32, and then to the format; what is too large becomes infinite.
double overflowing(FormatId format, double x, Rounding rounding) {
  return decode(format, encode(format, static_cast<float>(x), rounding, Overflow::non_saturate));
}

/// Off by a step where a number may lie on either side of a tie, else by nothing.
Estimate rounded_to(FormatId format, Estimate x, Rounding rounding) {
  for (Approx& a : x.at) {
    const double y = overflowing(format, a.value, rounding), error = other_forms * a.bound;
    const double low = overflowing(format, a.value - error, rounding);
    const double high = overflowing(format, a.value + error, rounding);
    a = low == high ? Approx{y} : widened({y}, std::max(high - y, y - low) / other_forms);
  }
  return x;
}

}  // namespace

Var transposed(Var a) {
  return moved(a, a.cols(), a.rows(), [](Index i, Index j) { return std::pair(j, i); });
}

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

Var replaced(Var x, Estimate values) {
  return x.tape->put(std::move(values), [=](const Estimate& d, const Estimate&) { accumulate(x, d); });
}

Var in_format(Var x, FormatId format, Rounding rounding) {
  return x.tape->put(rounded_to(format, x.value(), rounding),
                     [=](const Estimate& d, const Estimate&) { accumulate(x, d); });
}

Var in_bf16_both_ways(Var x) {
  const auto rounded = [](const Estimate& e) { return rounded_to(FormatId::bf16, e, Rounding::nearest_even); };
  return x.tape->put(rounded(x.value()), [=](const Estimate& d, const Estimate&) { accumulate(x, rounded(d)); });
}

Var kept_in_bf16(Var x) {
  Estimate out = x.value();
  if (x.tape->arithmetic().exact)
    for (Approx& a : out.at)
      a = widened(a, cast_bound(FormatId::bf16, std::min(std::abs(a.value) + a.bound, 0x1.FEp127)));
  return x.tape->put(std::move(out), [=](const Estimate& d, const Estimate&) { accumulate(x, d); });
}

}  // namespace dsv3::oracle
