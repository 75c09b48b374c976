// SPDX-License-Identifier: MIT
#include "reference/moe/balance.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "reference/core/require.hpp"
#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/demands.hpp"
#include "reference/oracle/ops/ops.hpp"
#include "reference/oracle/twin/twin.hpp"

namespace dsv3::oracle {
namespace {

const std::vector<AttributeSpec>& readings() {
  static const std::vector<AttributeSpec> all{
      convention("f_scale", {"relative", "share", "per_token"},
                 "f_i is 1 where experts are equally busy; f_i / N_r, the share of all choices; f_i K_r / N_r"),
      convention("affinity", {"normalised", "raw"}, "P_i is the mean of s'_{i,t}, or of s_{i,t}"),
      convention("over_sequences", {"sum", "mean"}, "the losses of the sequences are added up, or averaged")};
  return all;
}

Index size(const Case& c, const char* letter) { return c.sizes.at(letter); }
bool is_sequence_wise(const Case& c) { return c.inputs.contains("lengths"); }

/// The tokens of each sequence, or of the one batch.
Sequences stretches(const Case& c) {
  const Index T = size(c, "T");
  if (!is_sequence_wise(c)) return Sequences::uniform(1, T);
  Sequences sequences;
  for (const std::int64_t length : integers(c.in("lengths"))) {
    require(length >= 0 && length <= T - sequences.rows(), "lengths", "one is ", length, " after ", sequences.rows(),
            " tokens; they must be at least 0 and add up to T = ", T);
    sequences.add(length, 0);
  }
  require(sequences.rows() == T, "lengths", "they add up to ", sequences.rows(), "; they must add up to T = ", T);
  return sequences;
}

/// What the reference reads of a gate; refuses what cannot have come from one.
Routing routing_of(const Case& c) {
  const Index T = size(c, "T"), K_r = size(c, "K_r");
  Routing routing{.experts = IndexMatrix(T, K_r), .g = {}, .s = float_matrix(c.in("s")), .groups = {}, .margin = {}};
  require(routing.s.allFinite(), "s", "a score is not finite; it must be");
  std::ranges::copy(integers(c.in("experts")), routing.experts.data());
  return routing;
}

BalanceLoss terms_of(const Case& c) {
  const bool sequences = is_sequence_wise(c);
  double weight = 1;
  if (sequences && c.word("over_sequences") == "mean") weight /= static_cast<double>(std::max<Index>(size(c, "S"), 1));
  return {c.attribute<double>("alpha"), sequences ? BalanceScope::sequence : BalanceScope::batch, weight};
}

/// How often tokens begin .. end - 1 chose each expert: by their K_r largest scores, equal ones by their index, or as
/// `experts` says.
std::vector<Index> choices(const Case& c, Index begin, Index end) {
  const Index N_r = size(c, "N_r"), K_r = size(c, "K_r");
  const Doubles s = values(c.in("s"));
  const std::vector<std::int64_t> experts = integers(c.in("experts"));
  std::vector<Index> counts(static_cast<std::size_t>(N_r));
  for (Index t = begin; t < end; ++t) {
    std::vector<Index> order(static_cast<std::size_t>(N_r));
    std::iota(order.begin(), order.end(), Index{0});
    const auto score = [&](Index i) { return s[static_cast<std::size_t>(t * N_r + i)]; };
    std::ranges::stable_sort(order, std::greater<>(), score);
    for (Index k = 0; k < K_r; ++k) {
      const std::int64_t routed = experts[static_cast<std::size_t>(t * K_r + k)];
      ++counts[static_cast<std::size_t>(c.word("counted") == "routed" ? routed : order[static_cast<std::size_t>(k)])];
    }
  }
  return counts;
}

/// f_i of each stretch.
Var counted(Twin& t, const Sequences& parts) {
  const auto N_r = static_cast<double>(size(t.call, "N_r")), K_r = static_cast<double>(size(t.call, "K_r"));
  const std::string& kind = t.call.word("f_scale");
  const double factor = kind == "relative" ? N_r / K_r : kind == "share" ? 1 / K_r : 1;
  Estimate f(parts.count(), size(t.call, "N_r"));
  for (Index part = 0; part < f.rows; ++part) {
    const std::vector<Index> counts = choices(t.call, parts.begin[part], parts.begin[part + 1]);
    for (Index i = 0; i < f.cols && parts.length(part) > 0; ++i) {
      const double value =
          factor * static_cast<double>(counts[static_cast<std::size_t>(i)]) / static_cast<double>(parts.length(part));
      f(part, i) = widened({value}, 3 * u * value);  // N_r c / (K_r T) in any order
    }
  }
  return t.tape.put(std::move(f), {});
}

void twin(Twin& t) {
  const Sequences parts = stretches(t.call);
  const Var f = t.out("f", counted(t, parts)), s = t.in("s");
  const Var affinity = t.call.word("affinity") == "normalised" ? s / (row_sums(s) + 1e-20) : s;
  Var loss = t.tape.constant(0);
  for (Index part = 0; part < parts.count(); ++part) {
    if (parts.length(part) == 0) continue;
    std::vector<Index> tokens(static_cast<std::size_t>(parts.length(part)));
    std::iota(tokens.begin(), tokens.end(), parts.begin[part]);
    const Var P = (1.0 / static_cast<double>(tokens.size())) * column_sums(rows(affinity, tokens));
    loss = loss + row_sums(rows(f, {part}) * P);
  }
  const BalanceLoss terms = terms_of(t.call);
  t.out("loss", terms.alpha * terms.weight * loss);
}

struct Computed {
  Routing routing;
  Sequences sequences;
  Balance balance;
};

/// Nothing where the reference does not have the conventions.
std::optional<Computed> compute(const Case& c) {
  Computed all{routing_of(c), stretches(c), {}};
  if (c.word("f_scale") != "relative" || c.word("affinity") != "normalised") return {};
  if (size(c, "T") == 0) {
    all.balance.f = Matrix::Zero(all.sequences.count(), size(c, "N_r"));
    return all;
  }
  GateConfig config;
  config.N_r = size(c, "N_r"), config.K_r = size(c, "K_r");
  const auto counted = c.word("counted") == "routed" ? BalanceCount::routed : BalanceCount::report;
  all.balance = balance_loss(config, all.routing, all.sequences, terms_of(c), counted);
  return all;
}

std::optional<Tensors> forward(const Case& c) {
  const std::optional<Computed> all = compute(c);
  if (!all) return {};
  const Matrix& f = all->balance.f;
  const auto loss = static_cast<float>(all->balance.loss);
  return Tensors{{"loss", tensor(FloatMatrix::Constant(1, 1, loss), {})},
                 {"f", is_sequence_wise(c) ? tensor(f) : tensor(f, {f.cols()})}};
}

std::optional<Tensors> backward(const Case& c) {
  const std::optional<Computed> all = compute(c);
  if (!all) return {};
  Matrix ds = balance_backward(all->routing, all->sequences, terms_of(c), all->balance.f);
  ds *= static_cast<float>(values(c.in("dloss"))[0]);
  return Tensors{{"ds", tensor(ds)}};
}

Tensors drawn_inputs(const std::string& kind, bool sequence_wise, const Sizes& sizes, Random& random) {
  const Index T = sizes.at("T"), N_r = sizes.at("N_r"), K_r = sizes.at("K_r");
  FloatMatrix s(T, N_r);
  for (Index i = 0; i < s.size(); ++i) s.data()[i] = static_cast<float>(1 / (1 + std::exp(-2 * random.normal())));
  if (kind == "ties") s = sprinkled(std::move(s), {0.5f, 0.25f}, 1, random);
  if (kind == "collapsed" && K_r <= N_r) s.leftCols(K_r).array() += 1;
  if (kind == "zeros") set_third_rows_to_zero(s);
  if (kind == "tiny") s *= 0x1p-120f;
  std::vector<std::int64_t> experts(static_cast<std::size_t>(T * K_r));
  for (std::int64_t& expert : experts) expert = random.below(std::max<Index>(N_r, 1));
  Tensors inputs{{"s", tensor(s)}, {"experts", tensor(experts, {T, K_r})}};
  if (!sequence_wise) return inputs;
  const Index S = sizes.at("S");
  std::vector<std::int64_t> lengths(static_cast<std::size_t>(S));
  for (Index t = 0; t < T && S > 0; ++t) ++lengths[static_cast<std::size_t>(random.below(kind == "empty" ? 1 : S))];
  inputs["lengths"] = tensor(lengths, {S});
  return inputs;
}

TwinOp balance_op(bool sequence_wise) {
  TwinOp t;
  Op& op = t.op;
  op.name = sequence_wise ? "sequence_balance_loss" : "batch_balance_loss";
  op.what =
      "alpha sum_i f_i P_i, f_i = N_r / (K_r T) (tokens that chose i), P_i = mean of s'_{i,t} = s_{i,t} / sum_j "
      "s_{j,t} (Eqs. 17 to 20) over ";
  op.what += sequence_wise ? "each sequence, added up" : "the whole batch (section 4.5.3)";
  op.contract =
      "f counts the K_r largest scores of each token, without bias and groups, equal ones by the lowest index "
      "(counted=scores, as printed), or `experts` (routed). FP32, sums in any order; 1e-20 is added to sum_j s. A "
      "sequence without tokens adds nothing. The loss is judged from your f where you give it.";
  op.inputs = {{"s", {Dtype::f32}, {"T", "N_r"}, "scores, finite, without bias"},
               {"experts", {Dtype::i64, Dtype::i32}, {"T", "K_r"}, "where the tokens go, 0 to N_r - 1"}};
  if (sequence_wise) op.inputs.push_back({"lengths", {Dtype::i64, Dtype::i32}, {"S"}, "tokens of each sequence"});
  op.outputs = {{"loss", {Dtype::f32}, {}, "alpha included"}, {"f", {Dtype::f32}, {"N_r"}, "Eq. (18)", true}};
  if (sequence_wise) op.outputs[1].shape = {"S", "N_r"};
  op.attributes = {{.name = "alpha",
                    .fallback = 1e-4,
                    .what = "of the report; the released config.json says 0.001",
                    .least = 0,
                    .most = 1e6,
                    .convention = true,
                    .others = {1e-3, 1.0}},
                   convention("counted", {"scores", "routed"}, "what f counts: see the contract")};
  op.attributes.insert(op.attributes.end(), readings().begin(), readings().end() - (sequence_wise ? 0 : 1));
  Sizes sizes{{"T", 24}, {"N_r", 16}, {"K_r", 4}}, ragged{{"T", 7}, {"N_r", 5}, {"K_r", 3}};
  if (sequence_wise) sizes["S"] = 3, ragged["S"] = 4;
  op.kinds = {{"ordinary", "Sigmoid of normal logits", sizes},
              {"ragged", "odd sizes", ragged},
              {"ties", "each score is 0.5 or 0.25", sizes},
              {"collapsed", "the first K_r experts are everybody's", sizes},
              {"zeros", "every third token has scores of 0", sizes},
              {"tiny", "scores of 2^-120 and below", sizes}};
  if (sequence_wise) op.kinds.push_back({"empty", "all tokens are in the first sequence", sizes});
  op.draw = [sequence_wise](const std::string& kind, const Sizes& s, const Attributes&, Random& random) {
    return drawn_inputs(kind, sequence_wise, s, random);
  };
  op.demands = [](const Case& c) {
    if (size(c, "T") > 0) demand_top_k(c);
    demand_experts(c, false);
    if (!c.sizes.contains("S")) return;
    if (size(c, "T") > 0) demand_at_least(c, "S", 1, " where there are tokens");
    if (is_sequence_wise(c)) stretches(c);
  };
  t.twin = twin;
  t.forward = forward;
  t.gradients = {"s"};
  t.backward = backward;
  t.backward_contract =
      "ds_{i,t} = dloss alpha / T (f_i - sum_j f_j s'_{j,t}) / (sum_j s_{j,t} + 1e-20), through P alone: f is a count. "
      "FP32, sums in any order.";
  return t;
}

}  // namespace

std::vector<Op> balance_ops() {
  std::vector<Op> ops;
  for (const TwinOp& t : {balance_op(true), balance_op(false)})
    for (Op& op : ops_of(t)) ops.push_back(std::move(op));
  return ops;
}

}  // namespace dsv3::oracle
