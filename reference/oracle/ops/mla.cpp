// SPDX-License-Identifier: MIT
#include "reference/mla/mla.hpp"

#include "reference/core/require.hpp"
#include "reference/mla/absorbed.hpp"
#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/attention.hpp"
#include "reference/oracle/ops/demands.hpp"
#include "reference/oracle/ops/ops.hpp"

namespace dsv3::oracle {
namespace {

const std::vector<TensorSpec>& tokens() {
  static const std::vector<TensorSpec> all{
      {"h", plain_floats(), {"T", "d"}, "tokens, normalised"},
      {"positions", {Dtype::i64, Dtype::i32}, {"T"}, "of the tokens, consecutive, below max_length"}};
  return all;
}

/// The tap's values that the op has as outputs.
Tensors shown(const Op& op, const std::function<Matrix(const Tap&)>& run) {
  Tensors outputs;
  const Tap tap = [&](const std::string& name, const Matrix& value) {
    if (std::ranges::find(op.outputs, name, &TensorSpec::name) != op.outputs.end()) outputs[name] = tensor(value);
  };
  outputs["u"] = tensor(run(tap));
  return outputs;
}

/// u of tokens that continue a cache, by the reference's inference.
Matrix continued(const Case& c, LatentCache& cache, const Tap& tap) {
  const Mla mla(mla_config(c));
  const auto attention = c.word("form") == "absorbed" ? absorbed_attention : cached_attention;
  Context context;
  context.tap = tap;
  return attention(mla, mla_weights(c), float_matrix(c.in("h")), cache, context);
}

AttributeSpec form(const char* fallback) {
  AttributeSpec spec = convention("form", {"naive", "absorbed"},
                                  "keys and values of each head, or W_UK and W_UV multiplied into queries and outputs");
  spec.fallback = std::string(fallback);
  spec.by_rounding = true;
  return spec;
}

Tensors drawn_tokens(const std::string& kind, const Sizes& s, Random& random, Index first) {
  const Index T = s.at("T");
  Tensors inputs = drawn_mla_weights(s, random);
  FloatMatrix h = normals(T, s.at("d"), random);
  if (kind == "peaked") h *= 8;
  if (kind == "small") h *= 1e-3f;
  if (kind == "equal_tokens")
    for (Index t = 1; t < T; ++t) h.row(t) = h.row(0);
  inputs["h"] = tensor(h);
  inputs["positions"] = consecutive(first, T);
  return inputs;
}

/// A short original length, so that YaRN has something to do among a few positions.
Attributes extended() {
  return {{"original_length", Index{16}}, {"max_length", Index{640}}, {"yarn_factor", 40.0}, {"theta", 100.0}};
}

TwinOp training_form() {
  TwinOp t;
  Op& op = t.op;
  op.name = "mla";
  op.what = "u = W_O [o_1; ...], multi-head latent attention over one sequence, Eqs. (1) to (11), weights as released";
  op.contract =
      "FP32 throughout: products with weights, RMSNorm on c_Q and c_KV, RoPE on the rotary parts, softmax of the "
      "scaled "
      "scores of the tokens up to and with itself; sums in any order. scale = (d_h + d_r)^(-1/2) (0.1 m ln s + 1)^2. "
      "Activations that you give are judged first, and what follows is judged from them.";
  op.inputs = tokens();
  for (const TensorSpec& spec : mla_weight_specs()) op.inputs.push_back(spec);
  op.outputs = mla_activation_specs();
  op.outputs.push_back({"u", {Dtype::f32}, {"T", "d"}, "output, before the residual"});
  op.attributes = mla_attributes();
  // Scores depend on distances alone: nobody sees in u where positions begin.
  std::ranges::find(op.attributes, "first_position", &AttributeSpec::name)->convention = false;
  op.attributes.push_back(form("naive"));
  const Sizes sizes{{"T", 12}, {"d", 48}, {"d_q", 24}, {"d_c", 32}};
  Attributes half = extended(), two_mscales = extended();
  half["layout"] = std::string("half"), two_mscales["mscale_all_dim"] = 0.5;
  op.kinds = {{"ordinary", "positions from 0, YaRN on beyond 16 positions", sizes, extended()},
              {"far", "positions from 600", sizes, extended()},
              {"plain_rope", "no YaRN", sizes, {{"yarn_factor", 0.0}}},
              {"half", "rotate-half weights", sizes, half},
              {"peaked", "tokens eight times as large: nearly one-hot probabilities", sizes, extended()},
              {"small", "tokens N(0, 0.001^2): eps counts", sizes, extended()},
              {"two_mscales", "mscale and mscale_all_dim differ", sizes, two_mscales},
              {"equal_tokens", "all tokens the same", sizes, extended()},
              {"ragged",
               "one head, odd widths",
               {{"T", 5}, {"d", 7}, {"d_q", 3}, {"d_c", 5}},
               {{"n_h", Index{1}}, {"d_h", Index{3}}, {"d_r", Index{2}}, {"d_v", Index{5}}}}};
  op.draw = [](const std::string& kind, const Sizes& s, const Attributes&, Random& random) {
    return drawn_tokens(kind, s, random, kind == "far" ? 600 : 0);
  };
  op.demands = demand_attention;
  t.twin = [](Twin& twin) {
    twin.out("u", MlaTwin{twin, "", twin.call.word("form") == "absorbed"}.forward(twin.in("h")));
  };
  t.forward = [op](const Case& c) -> std::optional<Tensors> {
    const Sequences rows = sequence_of(c);
    const bool decodes = c.word("form") == "absorbed";  // which the reference does from position 0
    if (!has_usual_attention(c) || (decodes && rows.first_position[0] != 0)) return {};
    return shown(op, [&](const Tap& tap) -> Matrix {
      const Matrix h = float_matrix(c.in("h"));
      Context context;
      context.sequences = rows, context.tap = tap;
      if (!decodes) return Mla(mla_config(c)).forward(mla_weights(c), h, context).y;
      LatentCache cache;
      return continued(c, cache, tap);
    });
  };
  t.passed = {"c_Q", "c_KV", "k_R", "o"};
  t.gradients = {"h", "wq_a", "q_norm", "wq_b", "wkv_a", "kv_norm", "wkv_b", "wo"};
  t.backward = [](const Case& c) -> std::optional<Tensors> {
    const Sequences rows = sequence_of(c);
    if (!has_usual_attention(c)) return {};
    const Mla mla(mla_config(c));
    const MlaWeights<Matrix> p = mla_weights(c);
    Context context;
    context.sequences = rows;
    Matrix h = float_matrix(c.in("h"));
    auto [u, stored] = mla.forward(p, h, context);
    auto [dh, deferred] = mla.backward_input(p, std::move(stored), std::move(h), float_matrix(c.in("du")), context);
    MlaWeights<Matrix> grads = zeros(mla_shapes(mla.config()));
    mla.backward_weight(std::move(deferred), grads, context);
    Tensors outputs = joined_gradients(c, grads);
    outputs["dh"] = tensor(dh);
    return outputs;
  };
  t.backward_contract =
      "Reverse differentiation of the forward, FP32 throughout, sums in any order; whether probabilities are kept or "
      "made "
      "again from a log-sum-exp makes a difference within the bounds.";
  return t;
}

TwinOp decode() {
  TwinOp t;
  Op& op = t.op;
  op.name = "mla_decode";
  op.what = "u of new tokens over a latent cache of S tokens, absorbed or not (section 2.1.1), weights as released";
  op.contract =
      "As mla. A row of the cache is [RMSNorm(c_KV); k_R], normalised and rotated. The new tokens' rows are an output; "
      "a new token sees the cache and the new tokens up to and with itself. The scale stays that of d_h + d_r.";
  op.inputs = tokens();
  for (const TensorSpec& spec : mla_weight_specs()) op.inputs.push_back(spec);
  op.inputs.push_back({"cache", plain_floats(), {"S", "d_c+d_r"}, "of the tokens before, positions 0 to S - 1"});
  op.outputs = mla_activation_specs();
  op.outputs.insert(op.outputs.end() - 1, {"new_cache", {Dtype::f32}, {"T", "d_c+d_r"}, "rows of the new tokens"});
  op.outputs.push_back({"u", {Dtype::f32}, {"T", "d"}, "output, before the residual"});
  op.attributes = mla_attributes();
  op.attributes.push_back(form("absorbed"));
  const Sizes one{{"T", 1}, {"d", 48}, {"d_q", 24}, {"d_c", 32}, {"S", 40}};
  Sizes several = one, first = one;
  several["T"] = 4, first["S"] = 0;
  Attributes two_mscales = extended();
  two_mscales["mscale_all_dim"] = 0.5;
  op.kinds = {{"ordinary", "one new token after 40", one, extended()},
              {"several", "four new tokens after 40, as when drafts are verified", several, extended()},
              {"first", "the first token: the cache is empty", first, extended()},
              {"peaked", "tokens eight times as large: nearly one-hot probabilities", one, extended()},
              {"small", "tokens N(0, 0.001^2): eps counts", several, extended()},
              {"two_mscales", "mscale and mscale_all_dim differ", several, two_mscales},
              {"large_cache", "rows of the cache 2^-4 to 2^4 times as large", one, extended()},
              {"plain_rope", "no YaRN", several, {{"yarn_factor", 0.0}}}};
  op.draw = [](const std::string& kind, const Sizes& s, const Attributes&, Random& random) {
    Tensors inputs = drawn_tokens(kind, s, random, s.at("S"));
    const Index S = s.at("S"), width = s.at("d_c") + s.at("d_r");
    inputs["cache"] =
        tensor(kind == "large_cache" ? rows_of_many_sizes(S, width, random, 4) : normals(S, width, random));
    return inputs;
  };
  op.demands = [](const Case& c) {
    demand_attention(c);
    if (!c.inputs.contains("positions")) return;
    const Sequences rows = sequence_of(c);
    const Index S = c.sizes.at("S");
    require(rows.rows() == 0 || rows.first_position[0] == S, "positions", "the first is ", rows.first_position[0],
            "; it must be ", S, ", the length of the cache");
  };
  t.twin = [](Twin& twin) {
    const MlaTwin mla{twin, "", twin.call.word("form") == "absorbed"};
    twin.out("u", mla.forward(twin.in("h"), twin.in("cache")));
  };
  t.forward = [op](const Case& c) -> std::optional<Tensors> {
    const Index S = c.sizes.at("S"), d_c = c.sizes.at("d_c");
    if (!has_usual_attention(c)) return {};
    LatentCache cache;
    const Matrix before = float_matrix(c.in("cache"));
    cache.append(before.leftCols(d_c), before.rightCols(before.cols() - d_c));
    Tensors outputs = shown(op, [&](const Tap& tap) { return continued(c, cache, tap); });
    outputs["new_cache"] = tensor(cache.tokens().bottomRows(cache.length - S));
    return outputs;
  };
  return t;
}

}  // namespace

std::vector<Op> mla_ops() {
  std::vector<Op> ops = ops_of(training_form());
  ops.push_back(ops_of(decode()).front());
  return ops;
}

}  // namespace dsv3::oracle
