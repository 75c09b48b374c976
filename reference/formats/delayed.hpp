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

  /// What has been kept, oldest first, zeros where there is less than `length`; with the factor all that the next
  /// tensors depend on.
  std::vector<float> amaxes() const;
  /// As after those. Throws std::invalid_argument unless they are `length` numbers from 0 on, and the factor positive.
  void restore(const std::vector<float>& amaxes, float factor);
  friend bool operator==(const AmaxHistory& a, const AmaxHistory& b) {
    return a.amaxes() == b.amaxes() && a.factor_ == b.factor_ && a.format_ == b.format_ && a.use_ == b.use_ &&
           a.margin_ == b.margin_;
  }

 private:
  std::vector<float> amax_;  ///< a ring
  std::size_t next_ = 0;
  Use use_;
  int margin_;
  FormatId format_;
  float factor_ = 1;
};

struct QuantisedWithAmax {
  Quantised codes;
  float amax;  ///< max |x|; a NaN counts as nothing
};

/// q = encode(x * factor), saturating, and s = 1 / factor. No elements: no codes, one scale, amax 0.
QuantisedWithAmax quantise_by(const FloatView& x, float factor, FormatId format);

/// By the factor from before x, then record(max |x|): a tensor larger than its history saturates. Of no elements
/// nothing is recorded.
Quantised quantise_delayed(const FloatView& x, AmaxHistory& history);

}  // namespace dsv3
