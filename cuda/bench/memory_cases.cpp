// SPDX-License-Identifier: MIT
#include "cuda/bench/memory_cases.hpp"

#include <algorithm>
#include <cmath>

#include "cuda/bench/operand.hpp"
#include "cuda/moe/swiglu.hpp"
#include "cuda/norm/rms_norm.hpp"
#include "reference/formats/bf16.hpp"
#include "reference/formats/quantise.hpp"
#include "reference/moe/sigmoid.hpp"

namespace dsv3::cuda::bench {
namespace {

constexpr int looked_at = 128;
constexpr float eps = 1e-6f;

/// The first and the last rows.
std::string wrong_ends(const QuantisedResult& result, int rows, const std::function<Quantised(int, int)>& expected,
                       double may_differ = 0) {
  if (std::string unwritten = result.what_is_unwritten(); !unwritten.empty()) return unwritten;
  const int last = (rows - 1) / looked_at * looked_at;
  std::string found = result.what_is_wrong(0, expected(0, std::min(rows, looked_at)), may_differ);
  return found.empty() ? result.what_is_wrong(last, expected(last, rows - last), may_differ) : found;
}

FloatMatrix in_bf16(FloatMatrix m) {
  for (Index i = 0; i < m.size(); ++i) m.data()[i] = float_from_bf16(bf16_from_float(m.data()[i]));
  return m;
}

}  // namespace

RandomRows::RandomRows(int num_rows, int num_cols, std::uint64_t seed)
    : rows(num_rows), cols(num_cols), host(random_bf16(std::int64_t{num_rows} * num_cols, seed)), device(host) {}

FloatMatrix RandomRows::values(int first, int count) const {
  FloatMatrix x(count, cols);
  const auto from = host.begin() + static_cast<std::int64_t>(first) * cols;
  std::transform(from, from + x.size(), x.data(), float_from_bf16);
  return x;
}

double quantise_bytes(QuantiseTo to, int rows, int cols) {
  return 3.0 * rows * cols + 4.0 * num_scales(to, rows, cols);
}

QuantiseCase::QuantiseCase(QuantiseTo to, int rows, int cols, std::uint64_t seed)
    : to_(to), x_(rows, cols, seed), result_(to, rows, cols) {}

void QuantiseCase::call() {
  if (to_ == QuantiseTo::tiles) quantise_1x128(x_.on_device(), result_.out(), Scale::fp32);
  else if (to_ == QuantiseTo::tiles_transposed) quantise_128x1_transposed(x_.on_device(), result_.out(), Scale::fp32);
  else quantise_128x128(x_.on_device(), result_.out(), nullptr, Scale::fp32);
}

std::string QuantiseCase::wrong() const {
  return wrong_ends(result_, x_.rows, [this](int first, int count) {
    return quantise(x_.values(first, count), {.groups = groups_of(to_)});
  });
}

SwigluCase::SwigluCase(int rows, int f, std::uint64_t seed)
    : x_(rows, 2 * f, seed),
      host_weight_(random_scales(rows, seed + 1)),
      weight_(host_weight_),
      result_(QuantiseTo::tiles, rows, f) {}

void SwigluCase::call() { swiglu_quantise(x_.on_device(), weight_.data(), result_.out(), Scale::fp32); }

Quantised SwigluCase::expected(int first, int count) const {
  const FloatMatrix x = x_.values(first, count);
  const Index f = x.cols() / 2;
  FloatMatrix z(count, f), sigma(count, f);
  for (Index i = 0; i < count; ++i) {
    sigmoid(x.row(i).data(), sigma.row(i).data(), f);
    for (Index j = 0; j < f; ++j)
      z(i, j) = x(i, j) * sigma(i, j) * x(i, f + j) * host_weight_[static_cast<std::size_t>(first + i)];
  }
  return quantise(in_bf16(std::move(z)));
}

std::string SwigluCase::wrong() const {
  return wrong_ends(result_, x_.rows, [this](int first, int count) { return expected(first, count); });
}

RmsNormCase::RmsNormCase(int rows, int d, std::uint64_t seed)
    : x_(rows, d, seed),
      residual_(rows, d, seed + 1),
      host_gain_(random_scales(d, seed + 2)),
      gain_(host_gain_),
      rstd_(static_cast<std::size_t>(rows)),
      sum_(x_.host.size()),
      result_(QuantiseTo::tiles, rows, d) {}

void RmsNormCase::call() {
  rms_norm_quantise({x_.on_device(),
                     residual_.on_device(),
                     gain_.data(),
                     eps,
                     {sum_.data(), x_.cols},
                     {nullptr, 0},
                     result_.out(),
                     rstd_.data()},
                    Scale::fp32);
}

Quantised RmsNormCase::expected(int first, int count) const {
  FloatMatrix r = in_bf16(x_.values(first, count) + residual_.values(first, count));
  for (Index i = 0; i < count; ++i) {
    const double mean = r.row(i).cast<double>().squaredNorm() / static_cast<double>(r.cols());
    const auto rstd = static_cast<float>(1 / std::sqrt(mean + double{eps}));
    for (Index j = 0; j < r.cols(); ++j) r(i, j) = r(i, j) * rstd * host_gain_[static_cast<std::size_t>(j)];
  }
  return quantise(in_bf16(std::move(r)));
}

std::string RmsNormCase::wrong() const {
  constexpr double next_ones = 0.01;  // of the codes; the two sums differ by some units of 2^-24
  return wrong_ends(
      result_, x_.rows, [this](int first, int count) { return expected(first, count); }, next_ones);
}

}  // namespace dsv3::cuda::bench
