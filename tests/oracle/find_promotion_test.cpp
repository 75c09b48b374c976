// SPDX-License-Identifier: MIT
// FP8 products whose promotion is seldom or never, in plain loops that share nothing with the reading.
#include "tests/oracle/answers.hpp"

#include <algorithm>

#include "reference/formats/cast.hpp"

using namespace dsv3;
using namespace dsv3::oracle;

namespace {

/// A tensor core that keeps 13 bits below the largest exponent, of codes that are finite and mostly normal.
float core_step(float c, const std::vector<double>& products, const std::vector<int>& exponents) {
  int top = c == 0 ? -1000 : std::ilogb(c);
  for (std::size_t i = 0; i < products.size(); ++i)
    if (products[i] != 0) top = std::max(top, exponents[i]);
  if (top == -1000) return 0;
  const double unit = std::ldexp(1, top - 13);
  double sum = std::trunc(c / unit);
  for (const double p : products) sum += std::trunc(p / unit);
  if (sum == 0) return 0;
  const double last = std::ldexp(1, std::ilogb(sum) - 13);
  return static_cast<float>(std::trunc(sum / last) * last * unit);
}

/// x W^T of products that come to the register with their scales, which is never promoted.
FloatMatrix scaled_first(const FloatMatrix& x, const FloatMatrix& x_s, const FloatMatrix& W, const FloatMatrix& W_s) {
  FloatMatrix y(x.rows(), W.rows());
  for (Index i = 0; i < x.rows(); ++i)
    for (Index j = 0; j < W.rows(); ++j) {
      float c = 0;
      for (Index k = 0; k < x.cols(); k += 32) {
        std::vector<double> products;
        std::vector<int> exponents;
        for (Index n = k; n < std::min(k + 32, x.cols()); ++n) {
          products.push_back(double{x(i, n) * x_s(i, n / 128)} * double{W(j, n) * W_s(j / 128, n / 128)});
          exponents.push_back(products.back() == 0 ? 0 : std::ilogb(products.back()));
        }
        c = core_step(c, products, exponents);
      }
      y(i, j) = c;
    }
  return y;
}

/// x W^T whose register is promoted every `interval` products, and carried over the scales between.
FloatMatrix seldom_promoted(const FloatMatrix& x, const FloatMatrix& x_s, const FloatMatrix& W, const FloatMatrix& W_s,
                            Index W_group, Index interval, FloatMatrix y) {
  const auto exponent = [](float code) { return std::max(std::ilogb(code), -6); };
  for (Index i = 0; i < x.rows(); ++i)
    for (Index j = 0; j < W.rows(); ++j) {
      float c = 0, s = 0, acc = 0;
      for (Index k = 0; k < x.cols(); k += 32) {
        const float next = x_s(i, k / 128) * W_s(j / W_group, k / 128);
        if (k % interval == 0 && k > 0) acc = std::fma(c, s, acc), c = 0;
        else if (next != s && k > 0) c = c * s / next;
        s = next;
        std::vector<double> products;
        std::vector<int> exponents;
        for (Index n = k; n < std::min(k + 32, x.cols()); ++n) {
          products.push_back(double{x(i, n)} * W(j, n));
          exponents.push_back(products.back() == 0 ? 0 : exponent(x(i, n)) + exponent(W(j, n)));
        }
        c = core_step(c, products, exponents);
      }
      y(i, j) += std::fma(c, s, acc);
    }
  return y;
}

FloatMatrix decoded(const Tensor& t) {
  const Codes q = codes(t);
  FloatMatrix x(q.rows(), q.cols());
  for (Index i = 0; i < x.size(); ++i) x.data()[i] = decode(FormatId::e4m3, q.data()[i]);
  return x;
}

FloatMatrix turned(const FloatMatrix& m) { return m.transpose(); }

/// One of the dense products, W of which has groups of 128 rows, dy and x in Wgrad of one.
Tensors dense(const std::string& op, const Case& c, Index interval) {
  const auto q = [&](const char* name) { return decoded(c.in(std::string(name) + "_q")); };
  const auto s = [&](const char* name) { return float_matrix(c.in(std::string(name) + "_s")); };
  const auto zero = [&](const char* rows, const char* cols) {
    return FloatMatrix(FloatMatrix::Zero(c.sizes.at(rows), c.sizes.at(cols)));
  };
  if (op == "fp8_fprop")
    return {{"y", tensor(seldom_promoted(q("x"), s("x"), q("W"), s("W"), 128, interval, zero("T", "N")))}};
  if (op == "fp8_dgrad")
    return {{"dx",
             tensor(seldom_promoted(q("dy"), s("dy"), turned(q("W")), turned(s("W")), 128, interval, zero("T", "K")))}};
  return {{"dW", tensor(seldom_promoted(turned(q("dy")), turned(s("dy")), turned(q("x")), turned(s("x")), 1, interval,
                                        float_matrix(c.in("dW"))))}};
}

}  // namespace

TEST_CASE("find: promotion every 256, every 512 or never is named in each dense product") {
  for (const std::string op : {"fp8_fprop", "fp8_dgrad", "fp8_wgrad"})
    for (const auto& [interval, name] : std::map<Index, std::string>{{256, "256"}, {512, "512"}, {1 << 20, "none"}}) {
      CAPTURE(op);
      CAPTURE(interval);
      const Sizes sizes = op == "fp8_fprop"   ? Sizes{{"T", 8}, {"N", 130}, {"K", 1500}}
                          : op == "fp8_dgrad" ? Sizes{{"T", 8}, {"N", 1500}, {"K", 130}}
                                              : Sizes{{"T", 1500}, {"N", 8}, {"K", 130}};
      const Case c = case_of(op.c_str(), "one_signed", sizes);
      CHECK(first_named(op_named(op), c, dense(op, c, interval)) ==
            "equal bit for bit: promotion=" + name + " instead of 128");
    }
}

TEST_CASE("find: where products are scaled before they are summed, promotion removed comes nearest, or is named") {
  const Op& op = op_named("fp8_fprop");
  for (const char* kind : {"ordinary", "one_signed", "outliers"}) {
    CAPTURE(kind);
    const Case c = case_of("fp8_fprop", kind, {{"K", 2048}});
    const FloatMatrix y =
        scaled_first(decoded(c.in("x_q")), float_matrix(c.in("x_s")), decoded(c.in("W_q")), float_matrix(c.in("W_s")));
    const std::string all = text(find(op, c, {{"y", tensor(y)}}), c);
    CAPTURE(all);
    CHECK(says(all, ": promotion=none instead of 128\n"));
    // Of one sign, errors add up to what tells. Otherwise they are chance's, and another kernel's are others.
    CHECK((kind != std::string("one_signed") || all.starts_with("within the bound: promotion=none")));
  }
}

TEST_CASE("find: promotion removed is named in each grouped product") {
  for (const std::string op : {"fp8_grouped_fprop", "fp8_grouped_dgrad", "fp8_grouped_wgrad"}) {
    CAPTURE(op);
    const Index E = 2, rows = op == "fp8_grouped_wgrad" ? 1024 : 4, N = op == "fp8_grouped_dgrad" ? 1100 : 130,
                K = op == "fp8_grouped_fprop" ? 1100 : 140;
    Case c = case_of(op.c_str(), "one_signed", {{"E", E}, {"T", E * rows}, {"N", N}, {"K", K}});
    c.inputs["counts"] = tensor(std::vector<std::int64_t>{rows, rows}, {E});
    const bool wgrad = op == "fp8_grouped_wgrad";
    const std::string dense_op = op == "fp8_grouped_fprop" ? "fp8_fprop" : wgrad ? "fp8_wgrad" : "fp8_dgrad";
    const Index out_rows = wgrad ? N : rows, out_cols = dense_op == "fp8_fprop" ? N : K;
    const std::string out = op_named(op).outputs.front().name;
    FloatMatrix all(E * out_rows, out_cols);
    for (Index e = 0; e < E; ++e) {
      Case one = c;
      one.sizes["T"] = rows;
      for (auto& [name, t] : one.inputs) {
        if (name == "counts") continue;
        const bool is_codes = name.ends_with("_q");
        const Shape shape = rows_and_cols(t.shape);
        const Index of_one = shape.rows / E;
        if (is_codes) t = tensor(Dtype::f8_e4m3, Codes(codes(t).middleRows(e * of_one, of_one)));
        else t = tensor(FloatMatrix(float_matrix(t).middleRows(e * of_one, of_one)));
      }
      all.middleRows(e * out_rows, out_rows) = float_matrix(dense(dense_op, one, 1 << 20).at(out));
    }
    const Tensors theirs{{out, tensor(all, run(op_named(op), c).at(out).shape)}};
    CHECK(first_named(op_named(op), c, theirs) == "equal bit for bit: promotion=none instead of 128");
  }
}

TEST_CASE("find: where only the spread fails, it says so") {
  const Op& op = op_named("fp8_fprop");
  const Case c = case_of("fp8_fprop", "ordinary");
  Tensors theirs = run(op, c);
  FloatMatrix y = float_matrix(theirs.at("y"));
  const Limit limit = op.limits(c, theirs, theirs).at("y");
  // Each off by 1.5 spreads, now up, now down, which no reading is.
  for (Index i = 0; i < y.size(); ++i)
    y.data()[i] += static_cast<float>((i % 3 == 1 ? -1.5 : 1.5) * limit.spread[static_cast<std::size_t>(i)]);
  theirs["y"] = tensor(y);
  const Search search = find(op, c, theirs);
  REQUIRE_FALSE(search.found());
  CHECK(search.as_it_is.outside == 0);
  CHECK(says(text(search, c), "as the case is, each element is within its bound, but the spread of y is 1.4"));
}
