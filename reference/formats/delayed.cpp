// SPDX-License-Identifier: MIT
#include "reference/formats/delayed.hpp"

#include <cmath>

#include "reference/core/require.hpp"
#include "reference/core/threads.hpp"

namespace dsv3 {

AmaxHistory::AmaxHistory(Index length, Use use, int margin, FormatId format)
    : use_(use), margin_(margin), format_(format) {
  require(length >= 1, "AmaxHistory", "the length is ", length, "; it must be at least 1");
  require(dsv3::format(format).bits() == 8 && dsv3::format(format).sign == Sign::magnitude, "AmaxHistory",
          dsv3::format(format).name, "; E4M3 or E5M2 is needed");
  amax_.resize(static_cast<std::size_t>(length), 0.0f);
}

void AmaxHistory::record(float amax) {
  amax_[next_] = std::fmax(amax, 0.0f);  // 0 for NaN
  float used = amax_[next_];
  next_ = (next_ + 1) % amax_.size();
  if (use_ == Use::max) used = *std::max_element(amax_.begin(), amax_.end());
  if (used > 0 && std::isfinite(used)) factor_ = std::ldexp(dsv3::format(format_).largest, -margin_) / used;
}

std::vector<float> AmaxHistory::amaxes() const {
  std::vector<float> all = amax_;
  std::rotate(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(next_), all.end());
  return all;
}

void AmaxHistory::restore(const std::vector<float>& amaxes, float factor) {
  require(amaxes.size() == amax_.size(), "AmaxHistory", amaxes.size(), " amaxes; ", amax_.size(), " are needed");
  require(std::all_of(amaxes.begin(), amaxes.end(), [](float amax) { return amax >= 0; }), "AmaxHistory",
          "an amax is negative or NaN");
  require(std::isfinite(factor) && factor > 0, "AmaxHistory", "the factor is ", factor, "; it must be positive");
  amax_ = amaxes;
  next_ = 0;
  factor_ = factor;
}

QuantisedWithAmax quantise_by(const FloatView& x, float factor, FormatId format) {
  Quantised result{.q = {}, .s = {}, .groups = per_tensor(x.rows(), x.cols()), .format = format};
  result.q.resize(x.rows(), x.cols());
  result.s = Scales::Constant(1, 1, 1 / factor);
  if (x.size() == 0) return {std::move(result), 0};
  std::vector<float> amax_of(static_cast<std::size_t>(x.rows()), 0.0f);
  parallel_rows(x.rows(), [&](Index begin, Index count) {
    FloatMatrix scaled(1, x.cols());
    for (Index i = begin; i < begin + count; ++i) {
      const float* const row = x.data() + i * x.outerStride();
      float amax = 0;
      for (Index j = 0; j < x.cols(); ++j) amax = std::abs(row[j]) > amax ? std::abs(row[j]) : amax;  // passes over NaN
      amax_of[static_cast<std::size_t>(i)] = amax;
      for (Index j = 0; j < x.cols(); ++j) scaled(j) = row[j] * factor;
      const auto n = static_cast<std::size_t>(x.cols());
      encode(format, std::span<const float>(scaled.data(), n), std::span(&result.q(i, 0), n));
    }
  });
  return {std::move(result), *std::max_element(amax_of.begin(), amax_of.end())};
}

Quantised quantise_delayed(const FloatView& x, AmaxHistory& history) {
  auto [codes, amax] = quantise_by(x, history.factor(), history.format());
  if (x.size() > 0) history.record(amax);
  return std::move(codes);
}

}  // namespace dsv3
