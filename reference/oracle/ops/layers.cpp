// SPDX-License-Identifier: MIT
// Whole layers: attention and FFN with their norms and residuals.
#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/layer.hpp"
#include "reference/oracle/ops/ops.hpp"

namespace dsv3::oracle {
namespace {

std::optional<Tensors> forward(const Case& c, Ffn ffn) {
  Context context;
  context.sequences = sequence_of(c);
  if (!has_usual_layer(c, ffn)) return {};
  const ModelConfig config = layer_config(c, ffn);
  Tensors outputs;
  context.tap = into_outputs(outputs);
  Block(config, 0).forward(layer_weights(c, ffn), float_matrix(c.in("x")), context);
  return outputs;
}

std::optional<Tensors> backward(const Case& c, Ffn ffn) {
  Context context;
  context.sequences = sequence_of(c);
  if (!has_usual_layer(c, ffn)) return {};
  const Block block(layer_config(c, ffn), 0);
  const BlockWeights<Matrix> p = layer_weights(c, ffn);
  Matrix x = float_matrix(c.in("x"));
  auto [y, stored] = block.forward(p, x, context);
  auto [dx, deferred] = block.backward_input(p, std::move(stored), std::move(x), float_matrix(c.in("dy")), context);
  BlockWeights<Matrix> grads = p;
  for (const NamedTensor& t : tensors_of(grads)) t.value->setZero();
  block.backward_weight(std::move(deferred), grads, context);
  Tensors outputs{{"dx", tensor(dx)}};
  put_gradients(outputs, c, ffn, grads);
  return outputs;
}

Tensors drawn_inputs(Ffn ffn, const std::string& kind, const Sizes& s, Random& random) {
  Tensors inputs = drawn_layer_weights(ffn, s, random);
  const Index T = s.at("T"), first = kind == "far" ? 600 : 0;
  FloatMatrix x = normals(T, s.at("d"), random);
  if (kind == "sizes") x = rows_of_many_sizes(T, s.at("d"), random, 6);
  if (kind.starts_with("small")) x *= 1e-3f;
  if (kind == "small_stream") inputs["wo"] = tensor(FloatMatrix(1e-3f * float_matrix(inputs.at("wo"))));
  inputs["x"] = tensor(x);
  inputs["positions"] = consecutive(first, T);
  if (kind == "negative_bias") inputs["gate_bias"] = normals({s.at("N_r")}, random, 0.05, -2);
  return inputs;
}

TwinOp layer(Ffn ffn) {
  TwinOp t;
  Op& op = t.op;
  const bool moe = ffn == Ffn::moe;
  op.name = moe ? "moe_layer" : "dense_layer";
  op.what =
      moe ? "a transformer layer with DeepSeekMoE: x' = x + MLA(RMSNorm(x)), y = x' + MoE(RMSNorm(x')) (section 2.1)"
          : "a dense transformer layer: x' = x + MLA(RMSNorm(x)), y = x' + FFN(RMSNorm(x')) (section 2.1)";
  op.contract =
      "FP32 throughout, the parts as in rms_norm, mla, swiglu and gate. Give your activations under these names: each "
      "is "
      "judged from yours before it, so the first one outside is where the layers part. Without any, y alone is judged, "
      "with all that rounding can have done until there.";
  op.inputs = {{"x", plain_floats(), {"T", "d"}, "the residual stream"},
               {"positions", {Dtype::i64, Dtype::i32}, {"T"}, "of the tokens, consecutive, below max_length"}};
  for (const TensorSpec& spec : layer_weight_specs(ffn)) {
    op.inputs.push_back(spec);
    if (spec.name != "gate_bias") t.gradients.push_back(spec.name);
  }
  t.gradients.push_back("x");
  t.passed = {"attn_normed", "c_Q", "c_KV", "k_R", "o", "u", "x_prime", "ffn_normed"};
  if (moe) t.passed.insert(t.passed.end(), {"router_logits", "weights"});
  op.outputs = layer_activation_specs(ffn);
  op.outputs.push_back({"y", {Dtype::f32}, {"T", "d"}, "the residual stream after the layer"});
  op.attributes = layer_attributes(ffn);
  std::ranges::find(op.attributes, "first_position", &AttributeSpec::name)->convention = false;
  Sizes sizes{{"T", 10}, {"d", 32}, {"d_q", 16}, {"d_c", 16}};
  if (moe) sizes.merge(Sizes{{"N_r", 16}, {"d_e", 8}, {"d_s", 12}});
  else sizes["d_ffn"] = 24;
  const Attributes extended{
      {"original_length", Index{16}}, {"max_length", Index{640}}, {"theta", 100.0}, {"n_h", Index{2}}};
  Attributes two_mscales = extended;
  two_mscales["mscale_all_dim"] = 0.5;
  op.kinds = {{"ordinary", "N(0, 1), positions from 0", sizes, extended},
              {"far", "positions from 600", sizes, extended},
              {"small", "tokens N(0, 0.001^2): eps counts", sizes, extended},
              {"small_stream", "tokens N(0, 0.001^2) and as little from attention: eps counts before the FFN too",
               sizes, extended},
              {"sizes", "tokens 2^-6 to 2^6 times as large", sizes, extended},
              {"two_mscales", "mscale and mscale_all_dim differ", sizes, two_mscales}};
  if (moe) op.kinds.push_back({"negative_bias", "biases around -2: a mask of zeros would win", sizes, extended});
  op.draw = [ffn](const std::string& kind, const Sizes& s, const Attributes&, Random& random) {
    return drawn_inputs(ffn, kind, s, random);
  };
  op.demands = [ffn](const Case& c) { demand_layer(c, ffn); };
  t.twin = [ffn](Twin& twin) { layer_twin(twin, ffn, twin.in("x")); };
  t.forward = [ffn](const Case& c) { return forward(c, ffn); };
  t.backward = [ffn](const Case& c) { return backward(c, ffn); };
  t.backward_contract =
      "Reverse differentiation of the layer, the choice of experts held; FP32 throughout, sums in any order. Biases "
      "have "
      "no gradient.";
  return t;
}

}  // namespace

std::vector<Op> layer_ops() {
  std::vector<Op> ops = ops_of(layer(Ffn::dense));
  for (Op& op : ops_of(layer(Ffn::moe))) ops.push_back(std::move(op));
  return ops;
}

}  // namespace dsv3::oracle
