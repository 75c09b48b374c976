// SPDX-License-Identifier: MIT
#include "cuda/bench/check.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "reference/core/random.hpp"
#include "reference/core/require.hpp"
#include "reference/linear/fp8_bounds.hpp"

namespace dsv3::cuda::bench {
namespace {

/// The exact sum over values, of code times scale.
double exact(const Fp8Operand& a, Index i, const Fp8Operand& b, Index j) {
  double sum = 0;
  for (Index k = 0; k < a.q.cols(); ++k) {
    const Index g = k / scale_group;
    sum += double{a.values[a.q(i, k)]} * double{b.values[b.q(j, k)]} * (double{a.s(i, g)} * double{b.s(j, g)});
  }
  return sum;
}

/// The bound of each element, before the result is rounded.
Bounds bounds(const Fp8Operand& a, const Fp8Operand& b, const Allowed& allowed) {
  if (!allowed.is_bounded) return Bounds::Constant(a.q.rows(), b.q.rows(), std::numeric_limits<double>::infinity());
  return fp8_error_bound(whole(a, false), whole(b, false), {allowed.sums});
}

}  // namespace

std::vector<int> some_of(int count, std::uint64_t seed) {
  constexpr int most = 24;
  std::set<int> chosen;
  if (count > 0) chosen = {0, count - 1};
  Random random = stream(seed, "some");
  const int parts = std::min(count, most - 2);
  for (int i = 0; i < parts; ++i) {  // one of each part
    const auto from = static_cast<int>(std::int64_t{count} * i / parts),
               to = static_cast<int>(std::int64_t{count} * (i + 1) / parts);
    chosen.insert(from + static_cast<int>(random.below(to - from)));
  }
  return {chosen.begin(), chosen.end()};
}

std::string what_is_wrong(const Product& p, const Result& result, const Allowed& allowed, std::uint64_t seed) {
  const std::vector<int> rows = some_of(p.M, seed), cols = some_of(p.N, seed + 1);
  std::vector<int> rows_of_a = rows;
  for (int& row : rows_of_a) row += p.first_a;
  const Quantised a_part = p.a->some(p.expert_a, rows_of_a, p.first_k, p.depth, allowed.scaled);
  const Quantised b_part = p.b->some(p.expert_b, cols, p.first_k, p.depth, allowed.scaled);
  const Fp8Operand a = operand_of(a_part), b = operand_of(b_part);
  const Bounds bound = bounds(a, b, allowed);
  double of_errors = 0, of_sums = 0;  // squares
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t j = 0; j < cols.size(); ++j) {
      const auto at_i = static_cast<Index>(i), at_j = static_cast<Index>(j);
      const double before = result.before ? result.before(rows[i], cols[j]) : 0, sum = exact(a, at_i, b, at_j);
      const double of_sum = bound(at_i, at_j), want = before + sum, have = result.at(rows[i], cols[j]);
      const double most = of_sum + result.rounding * (std::abs(before) + std::abs(sum) + of_sum);
      if (!(std::abs(have - want) <= most))
        return concat("wrong: element (", rows[i], ", ", cols[j], ") is ", have, "; it must be ", want, " within ",
                      most);
      of_errors += (have - want) * (have - want);
      of_sums += sum * sum;
    }
  }
  const double of_rms = of_sums > 0 ? std::sqrt(of_errors / of_sums) : of_errors;
  if (of_rms <= allowed.of_rms) return {};
  return concat("wrong: the error's rms is ", of_rms, " of the sums'; it must be at most ", allowed.of_rms);
}

namespace {

template <class T>
std::string count_nan(std::span<const T> values, T magnitude_bits, T largest) {
  const auto nans = std::count_if(values.begin(), values.end(), [&](T v) { return (v & magnitude_bits) > largest; });
  return nans == 0 ? "" : concat("wrong: ", nans, " of ", values.size(), " values are NaN or were not written");
}

}  // namespace

std::string what_is_unwritten(std::span<const std::uint16_t> bf16) {
  return count_nan<std::uint16_t>(bf16, 0x7FFF, 0x7F80);
}
std::string what_is_unwritten(std::span<const std::uint8_t> codes) {
  return count_nan<std::uint8_t>(codes, 0x7F, 0x7E);
}

}  // namespace dsv3::cuda::bench
