// SPDX-License-Identifier: MIT
#include "reference/linear/fp8_gemm.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "reference/core/require.hpp"
#include "reference/core/threads.hpp"
#include "reference/linear/fp8_panels.hpp"
#include "reference/linear/fp8_tile.hpp"

namespace dsv3 {
namespace {

/// Throws unless the scales of `part` are constant in every interval.
void require_constant_scales(const Fp8Part& part, Index interval, const char* where, const char* name) {
  for (Index k = 0; k < part.depth; k += interval) {
    const Index last = std::min(k + interval, part.depth) - 1, g = part.group_k();
    require((part.first_k + k) / g == (part.first_k + last) / g, where, name, " has a new scale every ", g,
            " elements of the dimension that is summed over, one of them between ", part.first_k + k, " and ",
            part.first_k + last, ", but is promoted every ", interval, "; scales must be constant between promotions");
  }
}

/// Throws unless sums can go on from any scale of this operand to another.
void require_carried_scales(const Fp8Operand& x, const Accumulation& how, const char* where, const char* name) {
  require(how.sum != Accumulation::Sum::exact, where, "exact sums are not carried over scales");
  require((x.s.array() >= 0x1p-60f && x.s.array() <= 0x1p60f).all(), where, name,
          " has a scale that sums cannot be carried over; each must be from 2^-60 to 2^60");
}

/// out = or += a b^T of parts that fit, of one expert or of the whole.
struct Product {
  FloatOut out;
  Fp8Part a, b;
};

Index tiles_of(Index size, Index tile) { return (size + tile - 1) / tile; }

void run(const std::vector<Product>& products, const Fp8Arithmetic& how, Fp8Sums sums, const char* where) {
  require_accumulation(how.accumulation, where);
  std::vector<Fp8TileMaker> makers;
  std::vector<Index> first_tile{0};
  for (const auto& [out, a, b] : products) {
    const Index interval = how.accumulation.interval == 0 ? std::max<Index>(a.depth, 1) : how.accumulation.interval;
    makers.emplace_back(a, b, how, interval);
    const Index constant = how.carries ? std::min(interval, makers.back().piece()) : interval;
    for (const auto& [part, name] : {std::pair(a, "the left operand"), std::pair(b, "the right operand")}) {
      if (how.carries) require_carried_scales(*part.operand, how.accumulation, where, name);
      require_constant_scales(part, constant, where, name);
    }
    require(a.depth < Index{1} << 20, where, "sums over ", a.depth, " products; they must be fewer than 2^20");
    const Index tile = tiles_of(out.rows(), makers.back().rows()) * tiles_of(out.cols(), makers.back().cols());
    first_tile.push_back(first_tile.back() + tile);
  }
  parallel_for(first_tile.back(), [&](Index tile) {
    const Index which = std::upper_bound(first_tile.begin(), first_tile.end(), tile) - first_tile.begin() - 1;
    const Fp8TileMaker& maker = makers[which];
    FloatOut out = products[which].out;
    const Index across = tiles_of(out.cols(), maker.cols()), index = tile - first_tile[which];
    const Index i = index / across * maker.rows(), j = index % across * maker.cols();
    maker.make(out.block(i, j, std::min(maker.rows(), out.rows() - i), std::min(maker.cols(), out.cols() - j)), i, j,
               sums);
  });
}

std::string shape(Index rows, Index cols) { return concat("[", rows, ", ", cols, "]"); }

void require_fit(const FloatOut& out, const Fp8Part& a, const Fp8Part& b, const char* where) {
  require(a.depth == b.depth && out.rows() == a.size && out.cols() == b.size, where, "the left operand has ", a.size,
          " rows or columns of length ", a.depth, ", the right one ", b.size, " of length ", b.depth,
          ", and the result is ", shape(out.rows(), out.cols()), "; they do not fit");
}

void run_dense(FloatOut out, const Fp8Part& a, const Fp8Part& b, const Fp8Arithmetic& how, Fp8Sums sums,
               const char* where) {
  require_operand(*a.operand, where, "the left operand");
  require_operand(*b.operand, where, "the right operand");
  require_fit(out, a, b, where);
  run({{out, a, b}}, how, sums, where);
}

void require_begin(std::span<const Index> begin, Index experts, Index rows, const char* where) {
  require(std::ssize(begin) == experts + 1, where, "begin has ", begin.size(), " entries for ", experts,
          " experts; it needs one more than there are experts");
  require(begin.front() == 0 && begin.back() == rows && std::is_sorted(begin.begin(), begin.end()), where,
          "begin must rise from 0 to the number of rows, ", rows);
}

void run_rows_grouped(FloatOut out, const Fp8Operand& a, std::span<const Index> begin, std::span<const Fp8Operand> W,
                      bool transposed, const Fp8Arithmetic& how, const char* where) {
  require_begin(begin, std::ssize(W), a.q.rows(), where);
  require(out.rows() == a.q.rows(), where, "the result has ", out.rows(), " rows; needed are ", a.q.rows());
  require_operand(a, where, "the left operand");
  std::vector<Product> products;
  for (std::size_t e = 0; e < W.size(); ++e) {
    require_operand(W[e], where, "a weight");
    Fp8Part rows = whole(a, false);
    rows.first = begin[e], rows.size = begin[e + 1] - begin[e];
    products.push_back({out.middleRows(rows.first, rows.size), rows, whole(W[e], transposed)});
    require_fit(products.back().out, rows, products.back().b, where);
  }
  run(products, how, Fp8Sums::replace, where);
}

}  // namespace

void fp8_fprop(FloatOut y, const Fp8Operand& x, const Fp8Operand& W, const Fp8Arithmetic& how) {
  run_dense(y, whole(x, false), whole(W, false), how, Fp8Sums::replace, "fp8_fprop");
}

void fp8_dgrad(FloatOut dx, const Fp8Operand& dy, const Fp8Operand& W, const Fp8Arithmetic& how) {
  run_dense(dx, whole(dy, false), whole(W, true), how, Fp8Sums::replace, "fp8_dgrad");
}

void fp8_wgrad(FloatOut dW, const Fp8Operand& dy, const Fp8Operand& x, const Fp8Arithmetic& how) {
  run_dense(dW, whole(dy, true), whole(x, true), how, Fp8Sums::add, "fp8_wgrad");
}

void fp8_fprop_grouped(FloatOut y, const Fp8Operand& x, std::span<const Index> begin, std::span<const Fp8Operand> W,
                       const Fp8Arithmetic& how) {
  run_rows_grouped(y, x, begin, W, false, how, "fp8_fprop_grouped");
}

void fp8_dgrad_grouped(FloatOut dx, const Fp8Operand& dy, std::span<const Index> begin, std::span<const Fp8Operand> W,
                       const Fp8Arithmetic& how) {
  run_rows_grouped(dx, dy, begin, W, true, how, "fp8_dgrad_grouped");
}

void fp8_wgrad_grouped(std::span<Scales> dW, const Fp8Operand& dy, const Fp8Operand& x, std::span<const Index> begin,
                       const Fp8Arithmetic& how) {
  const char* const where = "fp8_wgrad_grouped";
  require_operand(dy, where, "dy");
  require_operand(x, where, "x");
  require(dy.q.rows() == x.q.rows(), where, "dy has ", dy.q.rows(), " rows and x ", x.q.rows(),
          "; both need one for each token");
  require_begin(begin, std::ssize(dW), x.q.rows(), where);
  std::vector<Product> products;
  for (std::size_t e = 0; e < dW.size(); ++e) {
    Fp8Part a = whole(dy, true), b = whole(x, true);
    a.first_k = b.first_k = begin[e], a.depth = b.depth = begin[e + 1] - begin[e];
    require_fit(dW[e], a, b, where);
    products.push_back({dW[e], a, b});
  }
  run(products, how, Fp8Sums::add, where);
}

}  // namespace dsv3
