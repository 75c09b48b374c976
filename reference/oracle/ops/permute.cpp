// SPDX-License-Identifier: MIT
#include <algorithm>
#include <numeric>

#include "reference/moe/dispatch.hpp"
#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/demands.hpp"
#include "reference/oracle/ops/ops.hpp"
#include "reference/oracle/twin/twin.hpp"

namespace dsv3::oracle {
namespace {

IndexMatrix experts_of(const Case& c) {
  IndexMatrix experts(c.sizes.at("T"), c.sizes.at("K"));
  std::ranges::copy(integers(c.in("experts")), experts.data());
  return experts;
}

Dispatch dispatch_of(const Case& c) { return sort_by_expert(experts_of(c), c.attribute<Index>("N_r")); }

/// The row of each (token, slot) pair t K + k, as the case sorts them.
std::vector<Index> rows_of_pairs(const Case& c) {
  const std::vector<std::int64_t> experts = integers(c.in("experts"));
  const Index K = c.sizes.at("K"), T = c.sizes.at("T");
  const std::string& order = c.word("order");
  std::vector<Index> pairs(experts.size());
  std::iota(pairs.begin(), pairs.end(), Index{0});
  const auto key = [&](Index pair) {
    const Index t = pair / K, k = pair % K;
    const Index place = order == "tokens" ? pair : order == "slots" ? k * T + t : -pair;
    return std::pair(experts[static_cast<std::size_t>(pair)], place);
  };
  std::ranges::sort(pairs, {}, key);
  std::vector<Index> row_of(pairs.size());
  for (std::size_t row = 0; row < pairs.size(); ++row)
    row_of[static_cast<std::size_t>(pairs[row])] = static_cast<Index>(row);
  return row_of;
}

/// The token of each row.
std::vector<Index> tokens_of_rows(const Case& c) {
  const std::vector<Index> row_of = rows_of_pairs(c);
  std::vector<Index> tokens(row_of.size());
  for (std::size_t pair = 0; pair < row_of.size(); ++pair)
    tokens[static_cast<std::size_t>(row_of[pair])] = static_cast<Index>(pair) / c.sizes.at("K");
  return tokens;
}

Tensor whole_numbers(const std::vector<Index>& numbers, std::vector<Index> shape) {
  return tensor(std::vector<std::int64_t>(numbers.begin(), numbers.end()), std::move(shape));
}

/// counts, or where each expert's rows begin.
Tensor counts(const Case& c, const std::vector<Index>& begin) {
  const Index N_r = c.attribute<Index>("N_r");
  std::vector<Index> out(begin.begin(), begin.end() - 1);
  if (c.word("counts") == "per_expert")
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = begin[i + 1] - begin[i];
  return whole_numbers(out, {N_r});
}

std::optional<Tensors> permuted(const Case& c) {
  const Dispatch dispatch = dispatch_of(c);
  const Index T = c.sizes.at("T"), K = c.sizes.at("K");
  Tensors outputs{{"counts", counts(c, dispatch.expert_begin)},
                  {"token_of_row", whole_numbers(tokens_of_rows(c), {T * K})},
                  {"row_of", whole_numbers(rows_of_pairs(c), {T, K})}};
  if (c.word("order") != "tokens") return outputs;
  const std::vector<Index> row_of(dispatch.row_of.data(), dispatch.row_of.data() + dispatch.row_of.size());
  outputs["token_of_row"] = whole_numbers(dispatch.token_of_row, {T * K});
  outputs["row_of"] = whole_numbers(row_of, {T, K});
  outputs["rows"] = tensor(gather(float_matrix(c.in("x")), dispatch.token_of_row));
  return outputs;
}

std::optional<Tensors> permuted_backward(const Case& c) {
  const Dispatch dispatch = dispatch_of(c);
  if (c.word("order") != "tokens") return {};
  Matrix dx = Matrix::Zero(c.sizes.at("T"), c.sizes.at("d"));
  add_scattered(dx, dispatch, float_matrix(c.in("drows")));
  return Tensors{{"dx", tensor(dx)}};
}

/// Experts of each token, all different unless the kind says otherwise or there are too few.
Tensor drawn_experts(const std::string& kind, const Sizes& s, Random& random) {
  const Index T = s.at("T"), K = s.at("K"), N_r = s.at("N_r");
  std::vector<std::int64_t> experts;
  for (Index t = 0; t < T; ++t) {
    std::vector<std::int64_t> all(static_cast<std::size_t>(N_r));
    std::iota(all.begin(), all.end(), 0);
    for (Index k = 0; k < K; ++k) {
      const Index left = std::max<Index>(N_r - k, 1), pick = random.below(left);
      const std::int64_t expert = k < N_r ? all[static_cast<std::size_t>(pick)] : random.below(std::max<Index>(N_r, 1));
      if (k < N_r) std::swap(all[static_cast<std::size_t>(pick)], all[static_cast<std::size_t>(left - 1)]);
      const std::int64_t few = N_r > 2 && expert > 1 ? N_r - 1 : expert;  // the first two and the last
      experts.push_back(kind == "duplicates" ? few : kind == "one_expert" ? N_r / 2 : expert);
    }
  }
  return tensor(experts, {T, K});
}

FloatMatrix numbers(const std::string& kind, Index rows, Index cols, Random& random) {
  FloatMatrix m = of_kind(kind, rows, cols, random);
  if (kind == "special") m = sprinkled(std::move(m), {std::numeric_limits<float>::quiet_NaN(), -0.0f}, 50, random);
  return m;
}

const std::vector<CaseKind>& kinds() {
  const Sizes sizes{{"T", 24}, {"K", 4}, {"d", 32}};
  static const std::vector<CaseKind> all{{"ordinary", "different experts for each token", sizes},
                                         {"ragged", "odd sizes", {{"T", 5}, {"K", 3}, {"d", 7}}},
                                         {"idle", "many more experts than rows", sizes, {{"N_r", Index{256}}}},
                                         {"one_expert", "all go to one expert, K times each", sizes},
                                         {"duplicates", "tokens ask for an expert twice", sizes},
                                         {"sizes", "rows 2^-12 to 2^12 times as large", sizes},
                                         {"special", "NaN and -0 among the others", sizes}};
  return all;
}

AttributeSpec num_experts() {
  return {.name = "N_r", .fallback = Index{16}, .what = "experts there are", .least = 1, .most = 1 << 16};
}

AttributeSpec order() {
  return convention("order", {"tokens", "slots", "tokens_descending"},
                    "of an expert's rows: by token, then slot; by slot, then token; by token from the last");
}

TwinOp permute() {
  TwinOp t;
  Op& op = t.op;
  op.name = "permute";
  op.what =
      "the tokens sorted by expert: a row for each (token, slot) pair, those of expert 0 first (dispatch, section "
      "3.2.2)";
  op.contract =
      "The sort is stable: an expert's rows keep the order of tokens, then of slots. Nothing is dropped or padded; a "
      "token that asks for an expert twice has two rows there. Rows are copied: in FP32 every bit is defined, and rows "
      "in BF16 or FP16 must be these numbers rounded to nearest.";
  op.inputs = {{"x", plain_floats(), {"T", "d"}, "tokens"},
               {"experts", {Dtype::i64, Dtype::i32}, {"T", "K"}, "of each token's slots, 0 to N_r - 1"}};
  op.outputs = {{"rows", {Dtype::f32}, {"T*K", "d"}, "sorted"},
                {"counts", {Dtype::i64}, {"N_r"}, "rows of each expert"},
                {"token_of_row", {Dtype::i64}, {"T*K"}, "where a row comes from"},
                {"row_of", {Dtype::i64}, {"T", "K"}, "where a slot went"}};
  op.attributes = {num_experts(), order(),
                   convention("counts", {"per_expert", "offsets"}, "how many rows, or the first row of each expert")};
  op.kinds = kinds();
  op.draw = [](const std::string& kind, const Sizes& s, const Attributes&, Random& random) {
    return Tensors{{"x", tensor(numbers(kind, s.at("T"), s.at("d"), random))},
                   {"experts", drawn_experts(kind, s, random)}};
  };
  op.demands = [](const Case& c) { demand_experts(c, false); };
  t.twin = [](Twin& twin) { twin.out("rows", rows(twin.in("x"), tokens_of_rows(twin.call))); };
  t.forward = permuted;
  t.gradients = {"x"};
  t.backward = permuted_backward;
  t.backward_contract = "dx_t is the sum of the gradients of t's rows, in FP32 and any order.";
  return t;
}

/// Which slots of a token count, and the rows they read.
struct Slots {
  std::vector<Index> slots, rows;
};

Slots slots_of(const Case& c, const std::vector<std::int64_t>& experts, const std::vector<Index>& row_of, Index t) {
  const Index K = c.sizes.at("K");
  const auto expert = [&](Index k) { return experts[static_cast<std::size_t>(t * K + k)]; };
  Slots found;
  for (Index k = 0; k < K; ++k) {
    bool comes_again = false;
    for (Index later = k + 1; later < K; ++later) comes_again |= expert(later) == expert(k);
    if (comes_again && c.word("duplicates") == "last") continue;
    found.slots.push_back(k);
    found.rows.push_back(row_of[static_cast<std::size_t>(t * K + k)]);
  }
  return found;
}

void unpermute_twin(Twin& t) {
  const Case& c = t.call;
  const std::vector<std::int64_t> experts = integers(c.in("experts"));
  const std::vector<Index> row_of = rows_of_pairs(c);
  const Var y = t.in("rows"), raw = t.in("weights");
  const Var g = c.word("weights_rounding") == "bf16" ? in_format(raw, FormatId::bf16) : raw;
  const Var weights = c.word("weighting") == "applied" ? g : 0.0 * g + 1;
  std::vector<Var> tokens;
  for (Index i = 0; i < c.sizes.at("T"); ++i) {
    const Slots of_token = slots_of(c, experts, row_of, i);
    const Var g_i = columns(rows(weights, std::vector{i}), of_token.slots);
    tokens.push_back(product(g_i, transposed(rows(y, of_token.rows))));
  }
  t.out("y", tokens.empty() ? t.tape.input(Estimate(0, c.sizes.at("d"))) : below(tokens));
}

bool has_reference(const Case& c) {
  return c.word("order") == "tokens" && c.word("weighting") == "applied" && c.word("duplicates") == "each" &&
         c.word("weights_rounding") == "fp32";
}

std::optional<Tensors> unpermuted(const Case& c) {
  const Dispatch dispatch = dispatch_of(c);
  if (!has_reference(c)) return {};
  Matrix y = Matrix::Zero(c.sizes.at("T"), c.sizes.at("d"));
  add_combined(y, dispatch, float_matrix(c.in("weights")), float_matrix(c.in("rows")));
  return Tensors{{"y", tensor(y)}};
}

std::optional<Tensors> unpermuted_backward(const Case& c) {
  const Dispatch dispatch = dispatch_of(c);
  if (!has_reference(c)) return {};
  const Matrix g = float_matrix(c.in("weights")), rows = float_matrix(c.in("rows")), dy = float_matrix(c.in("dy"));
  Matrix drows = gather(dy, dispatch.token_of_row), dg(g.rows(), g.cols());
  for (Index row = 0; row < dispatch.rows(); ++row) {
    const Index t = dispatch.token_of_row[row], k = dispatch.slot_of_row[row];
    dg(t, k) = rows.row(row).cwiseProduct(drows.row(row)).sum();  // y_t += g(t, k) row
    drows.row(row) *= g(t, k);
  }
  return Tensors{{"drows", tensor(drows)}, {"dweights", tensor(dg)}};
}

TwinOp unpermute() {
  TwinOp t;
  Op& op = t.op;
  op.name = "unpermute";
  op.what = "y_t = sum over the slots k of token t of g_{t,k} row(t, k): combine, the last sum of Eq. (12)";
  op.contract =
      "The rows lie as `permute` sorts them. Products and sums in FP32, in any order. A token that asks for an expert "
      "twice gets both rows.";
  op.inputs = {{"experts", {Dtype::i64, Dtype::i32}, {"T", "K"}, "of each token's slots, 0 to N_r - 1"},
               {"weights", plain_floats(), {"T", "K"}, "g_{t,k}"},
               {"rows", plain_floats(), {"T*K", "d"}, "what the experts made of them, sorted by expert"}};
  op.outputs = {{"y", {Dtype::f32}, {"T", "d"}, "tokens"}};
  op.attributes = {num_experts(), order(),
                   convention("weighting", {"applied", "ignored"}, "by g here, or the rows have been weighted before"),
                   convention("duplicates", {"each", "last"},
                              "an expert asked for twice counts twice, or once, with "
                              "the weight of the last slot"),
                   convention("weights_rounding", {"fp32", "bf16"}, "g as it is, or rounded to BF16")};
  op.kinds = kinds();
  op.draw = [](const std::string& kind, const Sizes& s, const Attributes&, Random& random) {
    const Index T = s.at("T"), K = s.at("K");
    FloatMatrix g = positives(T, K, random, 0.5);
    return Tensors{{"experts", drawn_experts(kind, s, random)},
                   {"weights", tensor(g)},
                   {"rows", tensor(numbers(kind, T * K, s.at("d"), random))}};
  };
  op.demands = [](const Case& c) { demand_experts(c, false); };
  t.twin = unpermute_twin;
  t.forward = unpermuted;
  t.gradients = {"rows", "weights"};
  t.backward = unpermuted_backward;
  t.backward_contract = "drows = g dy, dweights(t, k) = <row(t, k), dy_t>, in FP32; sums in any order.";
  return t;
}

}  // namespace

std::vector<Op> permute_ops() {
  std::vector<Op> ops = ops_of(permute());
  for (Op& op : ops_of(unpermute())) ops.push_back(std::move(op));
  return ops;
}

}  // namespace dsv3::oracle
