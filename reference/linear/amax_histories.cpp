// SPDX-License-Identifier: MIT
#include "reference/linear/amax_histories.hpp"

#include <algorithm>
#include <utility>

#include "reference/core/require.hpp"

namespace dsv3 {
namespace {

constexpr Index history_length = 16;  // of a short run; TransformerEngine's default is 1024

}  // namespace

std::vector<LinearAmaxes> empty_amaxes(const std::vector<NamedTensor>& weights, const Fp8Recipe& recipe) {
  std::vector<LinearAmaxes> all;
  if (recipe.scaling != Scaling::delayed) return all;
  const auto empty = [](FormatId format) { return AmaxHistory(history_length, AmaxHistory::Use::max, 0, format); };
  for (const NamedTensor& weight : weights)
    if (weight.role == Role::weight)
      all.push_back({weight.name, {empty(recipe.forward), empty(recipe.forward), empty(recipe.gradient)}});
  return all;
}

AmaxHistories::AmaxHistories(std::vector<LinearAmaxes>& amaxes, const std::vector<NamedTensor>& weights,
                             const std::vector<NamedTensor>& gradients) {
  for (LinearAmaxes& linear : amaxes) seen_.push_back({.before = &linear});
  std::size_t next = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i].role != Role::weight) continue;
    require(next < amaxes.size() && amaxes[next].weight == weights[i].name && i < gradients.size(), "AmaxHistories",
            "there is no history of ", weights[i].name, " at its place, ", next);
    of_weight_[weights[i].value->data()] = of_weight_[gradients[i].value->data()] = next++;
  }
}

Quantised AmaxHistories::quantise(const void* weight, Operand operand, const FloatView& x) {
  const auto found = of_weight_.find(weight);
  require(found != of_weight_.end(), "AmaxHistories", "a weight is not one of the ", seen_.size(), " it knows");
  const auto which = static_cast<std::size_t>(operand);
  Seen& seen = seen_[found->second];
  const AmaxHistory& history = seen.before->of[which];
  auto [codes, amax] = quantise_by(x, history.factor(), history.format());
  if (x.size() > 0) seen.amax[which] = std::max(seen.amax[which], amax);
  return std::move(codes);
}

void AmaxHistories::end_step() {
  for (Seen& seen : seen_)
    for (std::size_t which = 0; which < seen.amax.size(); ++which)
      if (const float amax = std::exchange(seen.amax[which], -1.0f); amax >= 0) seen.before->of[which].record(amax);
}

}  // namespace dsv3
