// SPDX-License-Identifier: MIT
/// \file
/// Delayed scaling, one scale per tensor from the past: the recipe that the report's section 3.3.2 argues against.
#pragma once
#include <vector>

#include "reference/formats/quantise.hpp"

namespace dsv3 {

/// The largest magnitudes a tensor had in its last quantisations, and the factor they lead to, as TransformerEngine's
/// DelayedScaling keeps them (common/recipe/delayed_scaling.cu).
class AmaxHistory {
 public:
  enum class Use { max, most_recent };
  /// length: how many are kept, at least 1. margin: the factor leaves 2^margin of headroom.
  explicit AmaxHistory(Index length = 1024, Use use = Use::max, int margin = 0, FormatId format = FormatId::e4m3);

  float factor() const { return factor_; }  ///< of the next tensor; 1 before the first
  FormatId format() const { return format_; }

  /// Records a tensor's amax; then factor = (largest * 2^-margin) / amax of all kept (or of this one). Where that amax
  /// is 0 or infinite the factor stays; a NaN counts as nothing, as in fmaxf.
  void record(float amax);

 private:
  std::vector<float> amax_;  ///< a ring
  std::size_t next_ = 0;
  Use use_;
  int margin_;
  FormatId format_;
  float factor_ = 1;
};

/// q = encode(x * factor), saturating, and s = 1 / factor with the factor from before x, then record(max |x|): a tensor
/// larger than its history saturates. No elements: no codes, one scale, nothing recorded.
Quantised quantise_delayed(const FloatView& x, AmaxHistory& history);

}  // namespace dsv3
