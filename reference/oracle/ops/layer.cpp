// SPDX-License-Identifier: MIT
#include "reference/oracle/ops/layer.hpp"

#include <cmath>

#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/demands.hpp"
#include "reference/oracle/ops/ops.hpp"
#include "reference/oracle/ops/routing.hpp"
#include "reference/oracle/ops/selection.hpp"

namespace dsv3::oracle {
namespace {

std::vector<AttributeSpec> conventions(Ffn ffn) {
  std::vector<AttributeSpec> all{
      convention("norm_place", {"before", "after"}, "x + F(norm(x)), or norm(x + F(x))"),
      convention("ffn_eps", {"eps", "1e-05"}, "of the RMSNorm before the FFN: eps too, or 1e-5 whatever eps is"),
      convention("branches", {"in_turn", "parallel"}, "the FFN reads the output of attention, or what attention read"),
      convention("activated", {"w1", "w3"}, "which of the two projections goes through silu")};
  if (ffn == Ffn::moe)
    all.push_back(convention("scaled_experts", {"routed", "routed_and_shared"},
                             "whose outputs routed_scaling_factor multiplies"));
  return all;
}

/// y of an FFN's tokens: w2 (silu(w1 u) * (w3 u)).
Var ffn_of(const Case& c, Var u, Var w1, Var w2, Var w3) {
  const Var a = product(u, w1), b = product(u, w3);
  return product(c.word("activated") == "w1" ? a * sigmoid(a) * b : b * sigmoid(b) * a, w2);
}

Var norm_of(Twin& t, Var x, const std::string& gain) {
  const bool own_eps = gain.ends_with("ffn_norm") && t.call.word("ffn_eps") != "eps";
  return rms_normalised(x, t.in(gain), own_eps ? 1e-5 : t.call.attribute<double>("eps"));
}

std::vector<Index> counted_from(Index begin, Index count) {
  std::vector<Index> all;
  for (Index i = 0; i < count; ++i) all.push_back(begin + i);
  return all;
}

/// Eq. (12) without the residual.
Var moe_twin(Twin& t, Var u, const std::string& prefix) {
  const Case& c = t.call;
  const auto in = [&](const char* name) { return t.in(prefix + name); };
  const Var logits = t.out(prefix + "router_logits", product(u, in("gate")));
  const auto [g, experts] = choose_and_weigh(t, gate_scores(t, logits), in("gate_bias"), prefix);
  const Index T = u.rows(), K_r = g.cols(), N_r = logits.cols(), d = u.cols(),
              d_e = N_r > 0 ? in("w1").rows() / N_r : 0;
  std::vector<Var> outputs;  // [tokens of the expert, d] each
  std::vector<std::vector<Index>> place(static_cast<std::size_t>(K_r), std::vector<Index>(static_cast<std::size_t>(T)));
  Index done = 0;
  for (Index i = 0; i < N_r; ++i) {
    std::vector<Index> tokens;
    Rows slots;
    for (Index token = 0; token < T; ++token)
      for (Index k = 0; k < K_r; ++k)
        if (experts[static_cast<std::size_t>(token)][static_cast<std::size_t>(k)] == i) {
          place[static_cast<std::size_t>(k)][static_cast<std::size_t>(token)] = done++;
          tokens.push_back(token), slots.push_back({k});
        }
    if (tokens.empty()) continue;
    const Var f = ffn_of(c, rows(u, tokens), rows(in("w1"), counted_from(i * d_e, d_e)),
                         rows(in("w2"), counted_from(i * d, d)), rows(in("w3"), counted_from(i * d_e, d_e)));
    outputs.push_back(f * picked(rows(g, tokens), slots));
  }
  Var shared = ffn_of(c, u, in("shared_w1"), in("shared_w2"), in("shared_w3"));
  if (c.word("scaled_experts") == "routed_and_shared") shared = c.attribute<double>("routed_scaling_factor") * shared;
  std::vector<Var> terms{shared};
  if (!outputs.empty())
    for (const auto& rows_of_slot : place) terms.push_back(rows(below(outputs), rows_of_slot));
  return sum_of(terms);
}

Var branch_twin(Twin& t, Ffn ffn, Var u, const std::string& prefix) {
  if (ffn == Ffn::moe) return moe_twin(t, u, prefix);
  return ffn_of(t.call, u, t.in(prefix + "w1"), t.in(prefix + "w2"), t.in(prefix + "w3"));
}

SwigluWeights<Matrix> expert(const Case& c, const std::string& prefix, Index i, Index N_r) {
  const auto part = [&](const char* name) {
    const Matrix all = float_matrix(c.in(prefix + name));
    const Index n = all.rows() / N_r;
    return Matrix(all.middleRows(i * n, n));
  };
  return {.W_gate = part("w1"), .W_up = part("w3"), .W_down = part("w2")};
}

}  // namespace

std::vector<AttributeSpec> layer_attributes(Ffn ffn) {
  std::vector<AttributeSpec> all = mla_attributes();
  const auto add = [&all](const std::vector<AttributeSpec>& specs) {
    all.insert(all.end(), specs.begin(), specs.end());
  };
  if (ffn == Ffn::moe) add(selection_attributes()), add(weight_attributes());
  add(conventions(ffn));
  return all;
}

std::vector<TensorSpec> layer_weight_specs(Ffn ffn, const std::string& prefix) {
  const std::vector<Dtype>& floats = plain_floats();
  std::vector<TensorSpec> all{{prefix + "attn_norm", floats, {"d"}, "gain of the RMSNorm before attention"},
                              {prefix + "ffn_norm", floats, {"d"}, "gain of the RMSNorm before the FFN"}};
  const auto add = [&](const char* name, ShapeText shape, const char* what) {
    all.push_back({prefix + name, floats, std::move(shape), what});
  };
  for (const TensorSpec& spec : mla_weight_specs(prefix)) all.push_back(spec);
  if (ffn == Ffn::dense) {
    add("w1", {"d_ffn", "d"}, "gate projection of the FFN");
    add("w2", {"d", "d_ffn"}, "down projection");
    add("w3", {"d_ffn", "d"}, "up projection");
    return all;
  }
  add("gate", {"N_r", "d"}, "centroids, e_i");
  all.push_back({prefix + "gate_bias", {Dtype::f32}, {"N_r"}, "biases of Eq. (16)"});
  add("w1", {"N_r", "d_e", "d"}, "gate projections of the routed experts");
  add("w2", {"N_r", "d", "d_e"}, "down projections");
  add("w3", {"N_r", "d_e", "d"}, "up projections");
  add("shared_w1", {"d_s", "d"}, "gate projection of the shared experts, side by side");
  add("shared_w2", {"d", "d_s"}, "down projection");
  add("shared_w3", {"d_s", "d"}, "up projection");
  return all;
}

std::vector<TensorSpec> layer_activation_specs(Ffn ffn, const std::string& prefix) {
  std::vector<TensorSpec> all;
  const auto add = [&](const char* name, ShapeText shape, const char* what, Dtype dtype = Dtype::f32) {
    all.push_back({prefix + name, {dtype}, std::move(shape), what, true});
  };
  add("attn_normed", {"T", "d"}, "RMSNorm(x), what attention reads");
  for (const TensorSpec& spec : mla_activation_specs(prefix)) all.push_back(spec);
  add("u", {"T", "d"}, "output of attention");
  add("x_prime", {"T", "d"}, "x + u");
  add("ffn_normed", {"T", "d"}, "RMSNorm(x_prime), what the FFN reads");
  if (ffn == Ffn::moe) {
    add("router_logits", {"T", "N_r"}, "ffn_normed gate^T");
    add("experts", {"T", "K_r"}, "chosen, by descending s + b", Dtype::i64);
    add("margin", {"T"}, "how close the choice was");
    add("weights", {"T", "K_r"}, "g of each, in the order of experts");
  }
  add("ffn", {"T", "d"}, "output of the FFN");
  return all;
}

Tensors drawn_layer_weights(Ffn ffn, const Sizes& sizes, Random& random, const std::string& prefix) {
  Tensors weights = drawn_mla_weights(sizes, random, prefix);
  for (const TensorSpec& spec : layer_weight_specs(ffn, prefix)) {
    if (weights.contains(spec.name)) continue;
    const std::vector<Index> shape = shape_of(spec.shape, sizes);
    const auto inputs = static_cast<double>(std::max<Index>(shape.back(), 1));
    weights[spec.name] = spec.name.ends_with("_norm")       ? normals(shape, random, 0.1, 1)
                         : spec.name.ends_with("gate_bias") ? normals(shape, random, 0.05)
                                                            : normals(shape, random, 1 / std::sqrt(inputs));
  }
  return weights;
}

Var layer_twin(Twin& t, Ffn ffn, Var x, const std::string& prefix) {
  const auto out = [&](const char* name, Var y) { return t.out(prefix + name, y); };
  const bool before = t.call.word("norm_place") == "before";
  const Var h = out("attn_normed", before ? norm_of(t, x, prefix + "attn_norm") : x);
  const Var attended = x + out("u", MlaTwin{t, prefix}.forward(h));
  const Var x_prime = out("x_prime", before ? attended : norm_of(t, attended, prefix + "attn_norm"));
  const Var read = t.call.word("branches") == "parallel" ? x : x_prime;
  const Var h_prime = out("ffn_normed", before ? norm_of(t, read, prefix + "ffn_norm") : read);
  const Var y = x_prime + out("ffn", branch_twin(t, ffn, h_prime, prefix));
  return out("y", before ? y : norm_of(t, y, prefix + "ffn_norm"));
}

void demand_layer(const Case& c, Ffn ffn) {
  demand_attention(c);
  if (ffn == Ffn::dense) return demand_at_least(c, "d_ffn", 1);
  demand_at_least(c, "d_e", 1);
  demand_selection(c);
}

bool has_usual_layer(const Case& c, Ffn ffn) {
  return has_usual_attention(c) && as_usual(c, conventions(ffn)) &&
         (ffn == Ffn::dense || gate_config(c, c.attribute<Index>("num_groups")).has_value());
}

ModelConfig layer_config(const Case& c, Ffn ffn, const std::string& prefix) {
  ModelConfig config;
  config.L = 1, config.mla = mla_config(c, prefix), config.eps = c.attribute<double>("eps");
  config.moe.d = config.mla.d;
  if (ffn == Ffn::dense) {
    config.num_dense_layers = 1;
    config.d_dense = c.in(prefix + "w1").shape[0];
    return config;
  }
  const Index N_r = c.in(prefix + "gate").shape[0];
  config.moe.d_shared = c.in(prefix + "shared_w1").shape[0];
  config.moe.d_expert = c.in(prefix + "w1").shape[1];
  config.moe.gate = gate_config(c, N_r).value();
  return config;
}

BlockWeights<Matrix> layer_weights(const Case& c, Ffn ffn, const std::string& prefix) {
  const auto in = [&](const char* name) { return Matrix(float_matrix(c.in(prefix + name))); };
  BlockWeights<Matrix> p{{in("attn_norm")}, mla_weights(c, prefix), {in("ffn_norm")}, {}};
  if (ffn == Ffn::dense) {
    p.ffn.shared = {.W_gate = in("w1"), .W_up = in("w3"), .W_down = in("w2")};
    return p;
  }
  p.ffn.e = in("gate"), p.ffn.b = in("gate_bias");
  p.ffn.shared = {.W_gate = in("shared_w1"), .W_up = in("shared_w3"), .W_down = in("shared_w2")};
  for (Index i = 0; i < p.ffn.e.rows(); ++i) p.ffn.experts.push_back(expert(c, prefix, i, p.ffn.e.rows()));
  return p;
}

Tap into_outputs(Tensors& outputs, const std::string& prefix) {
  static const std::map<std::string, std::string> names{{"norm_attention.out", "attn_normed"},
                                                        {"c_Q", "c_Q"},
                                                        {"c_KV", "c_KV"},
                                                        {"k_R", "k_R"},
                                                        {"o", "o"},
                                                        {"u", "u"},
                                                        {"x_prime", "x_prime"},
                                                        {"ffn.out", "ffn"},
                                                        {"norm_ffn.out", "ffn_normed"},
                                                        {"router_logits", "router_logits"},
                                                        {"topk_experts", "experts"},
                                                        {"topk_weights", "weights"},
                                                        {"selection_margin", "margin"},
                                                        {"out", "y"}};
  return [&outputs, prefix](const std::string& shown, const Matrix& value) {
    const auto name = names.find(shown);
    if (name == names.end()) return;
    Tensor& out = outputs[prefix + name->second];
    if (name->second == "margin") out = tensor(value, {value.rows()});
    else if (name->second == "experts")
      out = tensor(std::vector<std::int64_t>(value.data(), value.data() + value.size()), {value.rows(), value.cols()});
    else out = tensor(value);
  };
}

void put_gradients(Tensors& outputs, const Case& c, Ffn ffn, const BlockWeights<Matrix>& grads,
                   const std::string& prefix) {
  const auto put = [&](const char* name, const Matrix& m, std::vector<Index> shape) {
    outputs["d" + prefix + name] = tensor(m, std::move(shape));
  };
  const auto matrix = [&](const char* name, const Matrix& m) { put(name, m, {m.rows(), m.cols()}); };
  put("attn_norm", grads.norm_attention.g, {grads.norm_attention.g.cols()});
  put("ffn_norm", grads.norm_ffn.g, {grads.norm_ffn.g.cols()});
  for (auto& [name, t] : joined_gradients(c, grads.mla)) outputs["d" + prefix + name.substr(1)] = t;
  const std::string shared = ffn == Ffn::dense ? "" : "shared_";
  matrix((shared + "w1").c_str(), grads.ffn.shared.W_gate);
  matrix((shared + "w2").c_str(), grads.ffn.shared.W_down);
  matrix((shared + "w3").c_str(), grads.ffn.shared.W_up);
  if (ffn == Ffn::dense) return;
  matrix("gate", grads.ffn.e);
  const auto stacked = [&](const char* name, Matrix SwigluWeights<Matrix>::*which) {
    const Matrix& first = grads.ffn.experts.front().*which;
    const Index N_r = std::ssize(grads.ffn.experts), n = first.rows();
    Matrix all(N_r * n, first.cols());
    for (Index i = 0; i < N_r; ++i) all.middleRows(i * n, n) = grads.ffn.experts[static_cast<std::size_t>(i)].*which;
    put(name, all, {N_r, n, first.cols()});
  };
  stacked("w1", &SwigluWeights<Matrix>::W_gate);
  stacked("w2", &SwigluWeights<Matrix>::W_down);
  stacked("w3", &SwigluWeights<Matrix>::W_up);
}

}  // namespace dsv3::oracle
