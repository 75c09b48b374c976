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

Quantised quantise_delayed(const FloatView& x, AmaxHistory& history) {
  Quantised result{.q = {}, .s = {}, .groups = per_tensor(x.rows(), x.cols()), .format = history.format()};
  result.q.resize(x.rows(), x.cols());
  const float factor = history.factor();
  result.s = Scales::Constant(1, 1, 1 / factor);
  if (x.size() == 0) return result;
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
      encode(history.format(), std::span<const float>(scaled.data(), n), std::span(&result.q(i, 0), n));
    }
  });
  history.record(*std::max_element(amax_of.begin(), amax_of.end()));
  return result;
}

}  // namespace dsv3
