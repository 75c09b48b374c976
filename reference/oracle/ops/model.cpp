// SPDX-License-Identifier: MIT
// The whole model in small: a dense layer, one with DeepSeekMoE, an MTP module of that kind, and their losses.
#include "reference/model/model.hpp"

#include "reference/core/require.hpp"
#include "reference/linear/linear.hpp"
#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/demands.hpp"
#include "reference/oracle/ops/layer.hpp"
#include "reference/oracle/ops/ops.hpp"
#include "reference/oracle/ops/routing.hpp"

namespace dsv3::oracle {
namespace {

const std::vector<AttributeSpec>& conventions() {
  static const std::vector<AttributeSpec> all{
      convention(
          "mtp_order", {"embedding_hidden", "hidden_embedding"},
          "what M reads: [embedding; hidden] as the weights have it, or [hidden; embedding] as Eq. (21) prints it"),
      convention("mtp_reads", {"normed", "raw"}, "h^0 is the main representation after its final norm, or before it"),
      convention("mtp_norm", {"own", "final"},
                 "the norm before the shared head: the module's own, or the main model's"),
      convention("mtp_divisor", {"T", "T_minus_1"},
                 "the MTP loss is divided by T as Eq. (24) prints it, or by its number of targets")};
  return all;
}

Var normed(Twin& t, Var x, const char* gain) { return rms_normalised(x, t.in(gain), t.call.attribute<double>("eps")); }

/// Checked.
std::vector<std::int64_t> tokens_of(const Case& c) {
  std::vector<std::int64_t> tokens = integers(c.in("tokens"));
  const Index V = c.sizes.at("V");
  for (const std::int64_t token : tokens)
    require(token >= 0 && token < V, "tokens", "there is a token ", token, "; it must be 0 to ", V - 1);
  return tokens;
}

/// Sum of -log softmax(logits)[target].
Var loss_sum(Var logits, const std::vector<std::int64_t>& targets) {
  Rows which;
  for (const std::int64_t target : targets) which.push_back({static_cast<Index>(target)});
  const Var shifted = logits - row_maxima(logits);
  return column_sums(log(row_sums(exp(shifted))) - picked(shifted, which));
}

std::vector<std::int64_t> part(const std::vector<std::int64_t>& tokens, Index first, Index count) {
  return {tokens.begin() + first, tokens.begin() + first + count};
}

void twin(Twin& t) {
  const std::vector<std::int64_t> tokens = tokens_of(t.call);
  const Index T = std::ssize(tokens) - 1;
  const double divisor = static_cast<double>(t.call.word("mtp_divisor") == "T" ? T : T - 1);
  const Var x = rows(t.in("embedding"), part(tokens, 0, T));
  const Var h = layer_twin(t, Ffn::moe, layer_twin(t, Ffn::dense, x, "dense."), "moe.");
  const Var final_h = t.out("final", normed(t, h, "final_norm"));
  const Var logits = t.out("logits", product(final_h, t.in("head")));

  const Index n = T - 1;  // positions whose second next token is known
  const auto leading = [n](Var all) { return transposed(columns(transposed(all), 0, n)); };
  const Var hidden = normed(t, leading(t.call.word("mtp_reads") == "normed" ? final_h : h), "mtp.h_norm");
  const Var next = normed(t, rows(t.in("embedding"), part(tokens, 1, n)), "mtp.e_norm");
  const bool as_printed = t.call.word("mtp_order") == "hidden_embedding";
  const Var read = as_printed ? beside({hidden, next}) : beside({next, hidden});
  const Var h_prime = t.out("mtp.h_prime", product(read, t.in("mtp.M")));  // (21)
  const Var h_1 = layer_twin(t, Ffn::moe, h_prime, "mtp.");                // (22)
  const Var out = normed(t, h_1, t.call.word("mtp_norm") == "own" ? "mtp.norm_out" : "final_norm");
  const Var mtp_logits = t.out("mtp.logits", product(out, t.in("head")));  // (23)

  t.out("main_loss", (1 / static_cast<double>(T)) * loss_sum(logits, part(tokens, 1, T)));
  t.out("mtp_loss", (1 / divisor) * loss_sum(mtp_logits, part(tokens, 2, n)));  // (24)
}

bool has_reference(const Case& c) {
  const Sequences rows = sequence_of(c);
  std::vector<AttributeSpec> fixed = conventions();
  std::erase_if(fixed, [](const AttributeSpec& spec) { return spec.name == "mtp_order" || spec.name == "mtp_reads"; });
  return has_usual_layer(c, Ffn::moe) && has_usual_layer(c, Ffn::dense) && as_usual(c, fixed) &&
         rows.first_position[0] == 0;
}

ModelConfig config_of(const Case& c) {
  ModelConfig config = layer_config(c, Ffn::moe, "moe.");
  config.V = c.sizes.at("V"), config.L = 2, config.num_dense_layers = 1, config.D = 1;
  config.d_dense = c.sizes.at("d_ffn");
  config.mtp_order =
      c.word("mtp_order") == "hidden_embedding" ? MtpOrder::hidden_embedding : MtpOrder::embedding_hidden;
  config.mtp_reads_normed = c.word("mtp_reads") == "normed";
  return config;
}

ModelWeights<Matrix> weights_of(const Case& c) {
  const auto in = [&](const char* name) { return Matrix(float_matrix(c.in(name))); };
  ModelWeights<Matrix> p;
  p.embedding = in("embedding"), p.head = in("head"), p.norm_final.g = in("final_norm");
  p.blocks = {layer_weights(c, Ffn::dense, "dense."), layer_weights(c, Ffn::moe, "moe.")};
  p.mtp.push_back(
      {{in("mtp.h_norm")}, {in("mtp.e_norm")}, in("mtp.M"), layer_weights(c, Ffn::moe, "mtp."), {in("mtp.norm_out")}});
  return p;
}

Batch batch_of(const Case& c) {
  const std::vector<std::int64_t> tokens = tokens_of(c);
  Batch batch{.count = 1, .length = std::ssize(tokens) - 1, .tokens = {}};
  for (const std::int64_t token : tokens) batch.tokens.push_back(static_cast<Token>(token));
  return batch;
}

Tensor scalar(double value) { return tensor(FloatMatrix::Constant(1, 1, static_cast<float>(value)), {}); }

std::optional<Tensors> forward(const Case& c) {
  if (!has_reference(c)) return {};
  const Model model(config_of(c));
  const ModelWeights<Matrix> p = weights_of(c);
  const Batch batch = batch_of(c);
  const BatchLoss loss = model.loss(p, batch);
  Tensors outputs{{"main_loss", scalar(loss.main_loss())}, {"mtp_loss", scalar(loss.mtp_loss(0))}};
  // The activations, by the same components.
  Context context;
  const auto shown = [&](const char* prefix, Index length) -> const Context& {
    context.sequences = Sequences::uniform(1, length), context.tap = into_outputs(outputs, prefix);
    return context;
  };
  const Index T = batch.length, n = T - 1, d = model.config.d();
  const Matrix x = embed(p.embedding, batch.slice(0, T));
  const Matrix x_1 = model.blocks[0].forward(p.blocks[0], x, shown("dense.", T)).y;
  const Matrix h = model.blocks[1].forward(p.blocks[1], x_1, shown("moe.", T)).y;
  const Matrix final_h = model.norm.forward(p.norm_final, h, context).y;
  outputs["final"] = tensor(final_h), outputs["logits"] = tensor(fprop(p.head, final_h));
  Matrix read(n, 2 * d);
  read.leftCols(d) = (model.config.mtp_reads_normed ? final_h : h).topRows(n);
  read.rightCols(d) = embed(p.embedding, batch.slice(1, n));
  const Matrix h_1 = model.mtp[0].forward(p.mtp[0], read, shown("mtp.", n)).y;
  outputs["mtp.logits"] = tensor(fprop(p.head, model.norm.forward(p.mtp[0].norm_out, h_1, context).y));
  return outputs;
}

std::optional<Tensors> backward(const Case& c) {
  if (!has_reference(c)) return {};
  const double d_main = values(c.in("dmain_loss"))[0], d_mtp = values(c.in("dmtp_loss"))[0];
  if (d_main == 0) return {};  // the reference weighs the MTP loss relative to the main one
  const Model model(config_of(c));
  const ModelWeights<Matrix> p = weights_of(c);
  const Batch batch = batch_of(c);
  ModelWeights<Matrix> grads = p;
  for (const NamedTensor& t : tensors_of(grads)) t.value->setZero();
  Objective objective;
  objective.weight = d_main / static_cast<double>(batch.length), objective.lambda = d_mtp / d_main;
  model.loss_and_gradients(p, grads, batch, objective);
  Tensors outputs;
  const auto matrix = [&](const char* name, const Matrix& m) { outputs[name] = tensor(m); };
  const auto gain = [&](const char* name, const Matrix& m) { outputs[name] = tensor(m, {m.cols()}); };
  matrix("dembedding", grads.embedding), matrix("dhead", grads.head), matrix("dmtp.M", grads.mtp[0].M);
  gain("dfinal_norm", grads.norm_final.g), gain("dmtp.norm_out", grads.mtp[0].norm_out.g);
  gain("dmtp.h_norm", grads.mtp[0].norm_hidden.g), gain("dmtp.e_norm", grads.mtp[0].norm_embedding.g);
  put_gradients(outputs, c, Ffn::dense, grads.blocks[0], "dense.");
  put_gradients(outputs, c, Ffn::moe, grads.blocks[1], "moe.");
  put_gradients(outputs, c, Ffn::moe, grads.mtp[0].block, "mtp.");
  return outputs;
}

const std::vector<TensorSpec>& whole_model_weights() {
  static const std::vector<TensorSpec> all{
      {"embedding", plain_floats(), {"V", "d"}, "shared by the MTP module"},
      {"head", plain_floats(), {"V", "d"}, "shared by the MTP module"},
      {"final_norm", plain_floats(), {"d"}, "gain of the RMSNorm before the head"},
      {"mtp.h_norm", plain_floats(), {"d"}, "gain of the RMSNorm on the hidden state"},
      {"mtp.e_norm", plain_floats(), {"d"}, "gain of the RMSNorm on the embedding"},
      {"mtp.M", plain_floats(), {"d", "2*d"}, "M_1 of Eq. (21)"},
      {"mtp.norm_out", plain_floats(), {"d"}, "gain of the RMSNorm before the shared head"}};
  return all;
}

/// The activations of a layer of the MTP module, which has a position less.
std::vector<TensorSpec> of_mtp(std::vector<TensorSpec> specs) {
  for (TensorSpec& spec : specs)
    for (std::string& dimension : spec.shape)
      if (dimension == "T") dimension = "T-1";
  return specs;
}

std::vector<TensorSpec> outputs_of_model() {
  std::vector<TensorSpec> all;
  const auto add = [&all](const std::vector<TensorSpec>& specs) { all.insert(all.end(), specs.begin(), specs.end()); };
  const auto value = [](const char* name, ShapeText shape, const char* what) {
    return std::vector<TensorSpec>{{name, {Dtype::f32}, std::move(shape), what, true}};
  };
  add(layer_activation_specs(Ffn::dense, "dense."));
  add(value("dense.y", {"T", "d"}, "after the dense layer"));
  add(layer_activation_specs(Ffn::moe, "moe."));
  add(value("moe.y", {"T", "d"}, "after the layer with experts"));
  add(value("final", {"T", "d"}, "normalised, what the head reads"));
  add({{"logits", {Dtype::f32}, {"T", "V"}, "of the next tokens"}});
  add(value("mtp.h_prime", {"T-1", "d"}, "Eq. (21)"));
  add(of_mtp(layer_activation_specs(Ffn::moe, "mtp.")));
  add(value("mtp.y", {"T-1", "d"}, "Eq. (22), after the layer of the MTP module"));
  add({{"mtp.logits", {Dtype::f32}, {"T-1", "V"}, "Eq. (23), of the tokens after the next"},
       {"main_loss", {Dtype::f32}, {}, "mean of -log P over the T next tokens"},
       {"mtp_loss", {Dtype::f32}, {}, "Eq. (24)"}});
  return all;
}

Tensors drawn_inputs(const std::string& kind, const Sizes& s, Random& random) {
  Tensors inputs;
  for (const auto& [ffn, prefix] : {std::pair(Ffn::dense, "dense."), {Ffn::moe, "moe."}, {Ffn::moe, "mtp."}})
    inputs.merge(drawn_layer_weights(ffn, s, random, prefix));
  for (const TensorSpec& spec : whole_model_weights()) {
    const std::vector<Index> shape = shape_of(spec.shape, s);
    const double std = spec.name != "embedding" ? 0.2 : kind == "small" ? 1e-3 : 1;
    inputs[spec.name] = shape.size() == 1 ? normals(shape, random, 0.1, 1) : normals(shape, random, std);
  }
  std::vector<std::int64_t> tokens;
  for (Index t = 0; t <= s.at("T"); ++t)
    tokens.push_back(random.below(std::max<Index>(1, kind == "repeats" ? 3 : s.at("V"))));
  inputs["positions"] = consecutive(0, s.at("T"));
  inputs["tokens"] = tensor(tokens, {s.at("T") + 1});
  return inputs;
}

}  // namespace

std::vector<Op> model_ops() {
  TwinOp t;
  Op& op = t.op;
  op.name = "model";
  op.what =
      "the whole model in small: a dense layer, one with DeepSeekMoE, an MTP module, logits and losses (section 2)";
  op.contract =
      "FP32 throughout, the parts as in dense_layer, moe_layer, mtp_input and cross_entropy; one sequence. Give your "
      "activations under these names: each is judged from yours before it, so the first one outside is where the "
      "models "
      "part. mtp.logits and mtp_loss are over the T - 1 positions whose second next token is known.";
  op.inputs = {{"positions", {Dtype::i64, Dtype::i32}, {"T"}, "of the tokens that are read, consecutive"}};
  for (const TensorSpec& spec : whole_model_weights()) op.inputs.push_back(spec), t.gradients.push_back(spec.name);
  op.inputs.push_back({"tokens", {Dtype::i64, Dtype::i32}, {"T+1"}, "of one sequence, each 0 to V - 1"});
  for (const auto& [ffn, prefix] : {std::pair(Ffn::dense, "dense."), {Ffn::moe, "moe."}, {Ffn::moe, "mtp."}})
    for (const TensorSpec& spec : layer_weight_specs(ffn, prefix)) {
      op.inputs.push_back(spec);
      if (!spec.name.ends_with("gate_bias")) t.gradients.push_back(spec.name);
    }
  op.outputs = outputs_of_model();
  for (const TensorSpec& spec : op.outputs)
    if (spec.dtypes.front() == Dtype::f32 && !spec.name.ends_with("margin") && !spec.shape.empty())
      t.passed.push_back(spec.name);
  op.attributes = layer_attributes(Ffn::moe);
  std::ranges::find(op.attributes, "first_position", &AttributeSpec::name)->convention = false;
  for (const AttributeSpec& spec : conventions()) op.attributes.push_back(spec);
  const Sizes sizes{{"T", 8},    {"d", 24},  {"d_q", 12}, {"d_c", 12}, {"d_ffn", 20},
                    {"N_r", 16}, {"d_e", 8}, {"d_s", 8},  {"V", 40}};
  const Attributes extended{{"original_length", Index{16}},
                            {"max_length", Index{640}},
                            {"theta", 100.0},
                            {"n_h", Index{2}},
                            {"d_h", Index{8}},
                            {"d_v", Index{8}},
                            {"d_r", Index{8}}};
  Attributes two_mscales = extended, printed = extended, raw = extended;
  two_mscales["mscale_all_dim"] = 0.5;
  printed["mtp_order"] = std::string("hidden_embedding");
  raw["mtp_reads"] = std::string("raw");
  op.kinds = {{"ordinary", "any tokens", sizes, extended},
              {"repeats", "three different tokens", sizes, extended},
              {"small", "embeddings N(0, 0.001^2): eps counts", sizes, extended},
              {"two_mscales", "mscale and mscale_all_dim differ", sizes, two_mscales},
              {"as_printed", "M reads [hidden; embedding]", sizes, printed},
              {"raw", "the MTP module reads what the final norm reads", sizes, raw}};
  op.draw = by_kind_and_sizes(drawn_inputs);
  op.demands = [](const Case& c) {
    demand_at_least(c, "T", 2, ", for a target of the MTP module");
    demand_at_least(c, "V", 1);
    demand_layer(c, Ffn::dense);
    demand_layer(c, Ffn::moe);
    if (c.inputs.contains("tokens")) tokens_of(c);
  };
  t.twin = twin;
  t.forward = forward;
  t.backward = backward;
  t.backward_contract =
      "The gradients of dmain_loss main_loss + dmtp_loss mtp_loss, the choices of experts held; FP32 throughout, sums "
      "in "
      "any order. Embedding and head get theirs from the model and from the MTP module.";
  return ops_of(t);
}

}  // namespace dsv3::oracle
