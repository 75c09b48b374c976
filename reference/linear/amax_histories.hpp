// SPDX-License-Identifier: MIT
/// \file
/// The memory of delayed scaling: an amax history for each operand of each product with a weight.
#pragma once
#include <array>
#include <map>
#include <string>
#include <vector>

#include "reference/core/parameters.hpp"
#include "reference/formats/delayed.hpp"
#include "reference/linear/precision.hpp"

namespace dsv3 {

/// Of the Linear of one weight: what training keeps from step to step.
struct LinearAmaxes {
  std::string weight;             ///< its name
  std::array<AmaxHistory, 3> of;  ///< x, W and dy, see AmaxHistories::Operand
  friend bool operator==(const LinearAmaxes&, const LinearAmaxes&) = default;
};

/// Empty ones for all weights of a model; none unless recipe.scaling is delayed.
std::vector<LinearAmaxes> empty_amaxes(const std::vector<NamedTensor>& weights, const Fp8Recipe& recipe);

/// Who the operands of one step belong to, known by the address of the weight's or its gradient's values: neither may
/// move meanwhile. Until the step ends, factors are those of the steps before, as in TransformerEngine: B makes the
/// values again that F had, and all micro-batches are quantised alike. Different weights may ask at the same time.
class AmaxHistories {
 public:
  enum class Operand { x, W, dy };
  AmaxHistories() = default;  ///< of no weight
  /// `amaxes` is of `weights`, which `gradients` follow in order. Throws std::invalid_argument where it is not.
  AmaxHistories(std::vector<LinearAmaxes>& amaxes, const std::vector<NamedTensor>& weights,
                const std::vector<NamedTensor>& gradients);

  /// Codes by the factor of the steps before. Throws std::invalid_argument for a weight it does not know.
  Quantised quantise(const void* weight, Operand operand, const FloatView& x);
  /// Records the largest amax that each operand had since; one that was never there stays as it is.
  void end_step();

 private:
  struct Seen {
    LinearAmaxes* before;
    std::array<float, 3> amax{-1, -1, -1};  ///< in this step; -1: none yet
  };
  std::vector<Seen> seen_;
  std::map<const void*, std::size_t> of_weight_;
};

}  // namespace dsv3
