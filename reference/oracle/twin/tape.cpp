// SPDX-License-Identifier: MIT
#include "reference/oracle/twin/tape.hpp"

#include "reference/oracle/twin/sum.hpp"

namespace dsv3::oracle {

const Estimate& Var::value() const { return tape->nodes_[id].value; }

Var Tape::put(Estimate value, HandOn hand_on) {
  if (!arithmetic_.exact)
    for (Approx& a : value.at) a = {to(arithmetic_.format, a.value)};
  nodes_.push_back({std::move(value), {}, std::move(hand_on)});
  return {this, nodes_.size() - 1};
}

Var Tape::input(Estimate value) {
  nodes_.push_back({std::move(value), {}, {}});
  return {this, nodes_.size() - 1};
}

Var Tape::constant(double value) {
  Estimate one(1, 1);
  one(0, 0).value = value;
  return input(std::move(one));
}

void Tape::accumulate(Var x, Index i, Index j, const Approx& dx) {
  Estimate& gradient = nodes_[x.id].gradient;
  if (gradient.at.empty()) gradient = Estimate(x.rows(), x.cols());
  Approx& sum = gradient(i, j);
  sum = sum.value == 0 && sum.bound == 0 ? dx : sum + dx;
  if (!arithmetic_.exact) sum = {to(arithmetic_.format, sum.value)};
}

void Tape::backward(const std::vector<std::pair<Var, Estimate>>& seeds,
                    const std::vector<std::pair<Var, Passing>>& passing) {
  for (const auto& [y, dy] : seeds) oracle::accumulate(y, dy);
  for (std::size_t id = nodes_.size(); id-- > 0;) {
    Node& node = nodes_[id];
    for (const auto& [x, see] : passing)
      if (x.id == id) node.gradient = see(gradient(x));
    if (node.hand_on && !node.gradient.at.empty()) node.hand_on(node.gradient, node.value);
  }
}

Estimate Tape::gradient(Var x) const {
  const Estimate& found = nodes_[x.id].gradient;
  return found.at.empty() ? Estimate(x.rows(), x.cols()) : found;
}

}  // namespace dsv3::oracle
