// SPDX-License-Identifier: MIT
/// \file
/// Wrong implementations as they are met in the field, made with knowledge of the op: routing that goes wrong for one
/// token, groups of rows that are cut in the wrong place, a loss with another divisor.
#pragma once
#include <numeric>

#include "tests/oracle/mutants.hpp"

namespace dsv3::oracle {

/// What can happen to one token's experts and weights.
struct RoutingBug {
  const char* name;
  void (*spoil)(std::span<std::int64_t> experts, std::span<float> weights);
  bool of_experts = false;  ///< else of weights alone
  bool gate_says = true;    ///< else a layer states the choice as it was, and does something else
};

inline const std::vector<RoutingBug>& routing_bugs() {
  static const std::vector<RoutingBug> all{
      {"one token reaches an expert twice", [](auto experts, auto g) { experts[1] = experts[0], g[1] = g[0]; }, true},
      {"one token loses an expert, as to a capacity", [](auto, auto g) { g.back() = 0; }, false, false},
      {"two weights of one token swapped", [](auto, auto g) { std::swap(g[0], g[1]); }}};
  return all;
}

/// The experts and weights of one token in the middle.
struct Choice {
  Index token, K;
  std::vector<std::int64_t> experts;
  FloatMatrix weights;

  Choice(const Tensor& all_experts, const Tensor& all_weights)
      : token(all_experts.shape[0] / 2),
        K(all_experts.shape[1]),
        experts(integers(all_experts)),
        weights(float_matrix(all_weights)) {}

  void spoil(const RoutingBug& bug) {
    const std::span row(&experts[static_cast<std::size_t>(token * K)], static_cast<std::size_t>(K));
    bug.spoil(row, {&weights(token, 0), static_cast<std::size_t>(K)});
  }
  std::int64_t expert(Index k) const { return experts[static_cast<std::size_t>(token * K + k)]; }
};

/// What an expert of a layer makes of x: w2 (silu(w1 x) * (w3 x)).
inline Doubles of_expert(const Case& c, Index expert, const Doubles& x) {
  const auto times = [](const Doubles& W, Index row, const Doubles& of) {
    const double* const weights = &W[static_cast<std::size_t>(row * std::ssize(of))];
    return std::inner_product(of.begin(), of.end(), weights, 0.0);
  };
  const Doubles w1 = values(c.in("w1")), w2 = values(c.in("w2")), w3 = values(c.in("w3"));
  const Index d_e = c.sizes.at("d_e"), d = std::ssize(x);
  Doubles z, y;
  for (Index i = expert * d_e; i < (expert + 1) * d_e; ++i) {
    const double a = times(w1, i, x);
    z.push_back(a / (1 + std::exp(-a)) * times(w3, i, x));
  }
  for (Index i = expert * d; i < (expert + 1) * d; ++i) y.push_back(times(w2, i, z));
  return y;
}

/// Ops that say which experts they chose: a gate, or a layer, whose outputs are then what those experts give.
inline Mutant misrouted(const RoutingBug& bug) {
  return {bug.name, [bug](const Case& c, const Tensors& sound) -> std::optional<Tensors> {
            const Choice before(sound.at("experts"), sound.at("weights"));
            Choice after = before;
            after.spoil(bug);
            Tensors theirs = sound;
            const bool is_layer = sound.contains("ffn");
            if (!is_layer || bug.gate_says) {
              theirs["experts"] = tensor(after.experts, sound.at("experts").shape);
              theirs["weights"] = tensor(after.weights);
            }
            if (!is_layer) return theirs;
            const FloatMatrix read = float_matrix(sound.at("ffn_normed")), x_prime = float_matrix(sound.at("x_prime"));
            FloatMatrix ffn = float_matrix(sound.at("ffn")), y = float_matrix(sound.at("y"));
            const Index t = before.token;
            const Doubles x(&read(t, 0), &read(t, 0) + read.cols());
            for (Index k = 0; k < before.K; ++k) {
              const Doubles was = of_expert(c, before.expert(k), x), is = of_expert(c, after.expert(k), x);
              for (std::size_t j = 0; j < x.size(); ++j)
                ffn(t, static_cast<Index>(j)) +=
                    static_cast<float>(after.weights(t, k) * is[j] - before.weights(t, k) * was[j]);
            }
            y.row(t) = x_prime.row(t) + ffn.row(t);
            theirs["ffn"] = tensor(ffn), theirs["y"] = tensor(y);
            return theirs;
          }};
}

/// Ops that are given the choice: what they make of other weights.
inline Mutant misweighed(const Op& op, const RoutingBug& bug) {
  return {bug.name, [&op, bug](const Case& c, const Tensors&) -> std::optional<Tensors> {
            Choice choice(c.in("experts"), c.in("weights"));
            choice.spoil(bug);
            Case other = c;
            other.inputs["weights"] = tensor(choice.weights);
            return op.imitate(other, {.exact = false});
          }};
}

/// Where each group's rows end.
inline std::vector<Index> ends_of_groups(const Case& c) {
  std::vector<Index> ends{0};
  for (const std::int64_t count : integers(c.in("counts"))) ends.push_back(ends.back() + count);
  ends.erase(ends.begin());
  return ends;
}

/// A tensor whose rows are not what they should be: the last one of each group zero.
inline Tensor without_last_rows(const Tensor& t, const std::vector<Index>& ends) {
  Damaged d(t);
  for (const Index end : ends)
    if (end > 0) std::memset(&d.bytes[static_cast<std::size_t>(end - 1) * d.cols * d.size], 0, d.cols * d.size);
  return d.result();
}

/// Each row in the place of the one before it.
inline Tensor one_row_late(const Tensor& t) {
  Damaged d(t);
  std::rotate(d.bytes.begin(), d.bytes.begin() + static_cast<std::ptrdiff_t>(d.cols * d.size), d.bytes.end());
  return d.result();
}

/// The grouped products.
inline std::vector<Mutant> grouped_bugs(const Op& op) {
  const bool is_wgrad = op.name.ends_with("wgrad");
  const auto last_row = [&op, is_wgrad](const Case& c, const Tensors& sound) -> std::optional<Tensors> {
    const std::vector<Index> ends = ends_of_groups(c);
    if (!is_wgrad) {
      const std::string& out = op.outputs.front().name;
      return Tensors{{out, without_last_rows(sound.at(out), ends)}};
    }
    Case other = c;
    other.inputs["dy_q"] = without_last_rows(c.in("dy_q"), ends);
    return run(op, other);
  };
  const auto late = [&op, is_wgrad](const Case& c, const Tensors&) -> std::optional<Tensors> {
    Case other = c;
    std::vector<std::int64_t> counts = integers(c.in("counts"));
    if (is_wgrad) other.inputs["x_q"] = one_row_late(c.in("x_q"));
    else if (counts.size() < 2 || counts.back() == 0) return {};
    else ++counts.front(), --counts.back();
    other.inputs["counts"] = tensor(counts, c.in("counts").shape);
    return run(op, other);
  };
  return {{"last row of each group left out", last_row},
          {is_wgrad ? "rows of x read one too late" : "groups begin one row late", late}};
}

/// The mean over T - 1 tokens.
inline Mutant divided_by_one_less() {
  return {"main_loss divided by T - 1", [](const Case& c, const Tensors& sound) -> std::optional<Tensors> {
            const auto T = static_cast<float>(c.sizes.at("T"));
            Tensors theirs = sound;
            theirs["main_loss"] = tensor(FloatMatrix(T / (T - 1) * float_matrix(sound.at("main_loss"))), {});
            return theirs;
          }};
}

inline std::vector<Mutant> field_bugs(const Op& op) {
  std::vector<Mutant> all;
  for (const RoutingBug& bug : routing_bugs()) {
    if (op.name == "gate" || op.name == "gate_select" || op.name == "moe_layer") all.push_back(misrouted(bug));
    if (op.name.starts_with("unpermute") && !bug.of_experts) all.push_back(misweighed(op, bug));
  }
  if (op.name.starts_with("fp8_grouped_")) all = grouped_bugs(op);
  if (op.name == "model") all.push_back(divided_by_one_less());
  return all;
}

}  // namespace dsv3::oracle
