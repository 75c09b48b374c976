// SPDX-License-Identifier: MIT
/// \file
/// The memory of delayed scaling: an amax history for each operand of each product with a weight.
#pragma once
#include <map>
#include <mutex>
#include <utility>

#include "reference/formats/delayed.hpp"

namespace dsv3 {

/// Histories by the weight (or weight gradient) they belong to, known by the address of its values, and the operand.
/// A weight must not move while they live. Different weights may ask at the same time.
class AmaxHistories {
 public:
  enum class Operand { x, W, dy };
  AmaxHistory& of(const void* weight, Operand operand, FormatId format) {
    const std::lock_guard lock(mutex_);
    return histories_.try_emplace({weight, operand}, length, AmaxHistory::Use::max, 0, format).first->second;
  }

 private:
  static constexpr Index length = 16;  ///< of a short run; TransformerEngine's default is 1024
  std::mutex mutex_;
  std::map<std::pair<const void*, Operand>, AmaxHistory> histories_;
};

}  // namespace dsv3
