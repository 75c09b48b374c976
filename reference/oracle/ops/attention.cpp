// SPDX-License-Identifier: MIT
#include "reference/oracle/ops/attention.hpp"

#include <cmath>

#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/ops.hpp"

namespace dsv3::oracle {
namespace {

const std::vector<AttributeSpec>& conventions() {
  static const std::vector<AttributeSpec> all{
      convention("wq_b_layout", {"per_head", "parts_apart"},
                 "rows of wq_b: [content; rotary] of each head, or all heads' content first"),
      convention("wkv_b_layout", {"per_head", "parts_apart"},
                 "rows of wkv_b: [key; value] of each head, or all heads' keys first"),
      convention("latent_norm", {"latent", "whole", "none"},
                 "RMSNorm of c_KV alone, of c_KV and k_R together, or of neither"),
      convention("latent_eps", {"eps", "1e-06"},
                 "of the RMSNorm on the latents: eps too, or 1e-6 whatever eps is (transformers)"),
      convention("softmax_mscale", {"squared", "once", "none", "rotary_only"},
                 "YaRN's temperature in the softmax scale; the last one squared, on the rotary part only"),
      convention("softmax_width", {"head", "content", "latent"}, "1 / sqrt of d_h + d_r, of d_h, or of d_c + d_r"),
      convention("causal", {"all_before", "new_tokens_only", "not_itself", "one_ahead", "no_mask"},
                 "a token sees itself and those before it; of these only those of this call; those before it alone "
                 "(the first sees itself); one more; all"),
      convention("probabilities", {"fp32", "bf16"}, "as they are, or rounded to BF16 before they meet the values")};
  return all;
}

Index whole(const Case& c, std::string_view name) { return c.attribute<Index>(name); }

/// The rows that part `part` of head `head` takes in a weight of two parts of all heads.
std::vector<Index> part_rows(bool per_head, Index heads, Index head, Index first, Index second, Index part) {
  const Index width = part == 0 ? first : second;
  Index begin = per_head ? head * (first + second) + part * first : part * heads * first + head * width;
  std::vector<Index> all;
  for (Index i = 0; i < width; ++i) all.push_back(begin++);
  return all;
}

struct Scales {
  double content, rotary;
};

Scales softmax_scales(const Case& c, Index d_c) {
  const std::string &power = c.word("softmax_mscale"), &width = c.word("softmax_width");
  const Index d_h = whole(c, "d_h"), d_r = whole(c, "d_r");
  const Index n = width == "head" ? d_h + d_r : width == "content" ? d_h : d_c + d_r;
  const double scale = 1 / std::sqrt(static_cast<double>(n));
  const double m = interpolates(c) ? temperature(c, c.attribute<double>("mscale_all_dim")) : 1;
  if (power == "rotary_only") return {scale, scale * m * m};
  const double all = scale * (power == "squared" ? m * m : power == "once" ? m : 1);
  return {all, all};
}

/// A constant of several FP32 operations.
Var constant(Tape& tape, double value) {
  Estimate one(1, 1);
  one(0, 0) = widened({value}, 6 * u * std::abs(value));
  return tape.input(std::move(one));
}

}  // namespace

std::vector<AttributeSpec> mla_attributes() {
  const auto size = [](const char* name, Index fallback, const char* what) {
    return AttributeSpec{.name = name, .fallback = fallback, .what = what, .least = 1, .most = 1 << 14};
  };
  std::vector<AttributeSpec> all{size("n_h", 4, "attention heads"),
                                 size("d_h", 16, "content width of a head"),
                                 size("d_r", 16, "d_h^R, rotary width of a head, even"),
                                 size("d_v", 16, "value width of a head"),
                                 {.name = "eps",
                                  .fallback = 1e-6,
                                  .what = "of every RMSNorm",
                                  .least = 0,
                                  .most = 1,
                                  .above_least = true,
                                  .convention = true,
                                  .others = {1e-5, 1e-6}}};
  for (const auto& specs : {rotary_attributes(), rotation_attributes(), conventions()})
    all.insert(all.end(), specs.begin(), specs.end());
  return all;
}

std::vector<TensorSpec> mla_weight_specs(const std::string& prefix) {
  const std::vector<Dtype>& floats = plain_floats();
  return {{prefix + "wq_a", floats, {"d_q", "d"}, "W_DQ, Eq. (6)"},
          {prefix + "q_norm", floats, {"d_q"}, "gain of the RMSNorm on c_Q"},
          {prefix + "wq_b", floats, {"n_h*(d_h+d_r)", "d_q"}, "[W_UQ; W_QR] of each head, Eqs. (7) and (8)"},
          {prefix + "kv_norm", floats, {"d_c"}, "gain of the RMSNorm on c_KV"},
          {prefix + "wkv_a", floats, {"d_c+d_r", "d"}, "[W_DKV; W_KR], Eqs. (1) and (3)"},
          {prefix + "wkv_b", floats, {"n_h*(d_h+d_v)", "d_c"}, "[W_UK; W_UV] of each head, Eqs. (2) and (5)"},
          {prefix + "wo", floats, {"d", "n_h*d_v"}, "W_O, Eq. (11)"}};
}

std::vector<TensorSpec> mla_activation_specs(const std::string& prefix) {
  return {{prefix + "c_Q", {Dtype::f32}, {"T", "d_q"}, "W_DQ h, before its norm", true},
          {prefix + "c_KV", {Dtype::f32}, {"T", "d_c"}, "W_DKV h, before its norm", true},
          {prefix + "k_R", {Dtype::f32}, {"T", "d_r"}, "the rotary key, rotated", true},
          {prefix + "o", {Dtype::f32}, {"T", "n_h*d_v"}, "outputs of the heads", true}};
}

Tensors drawn_mla_weights(const Sizes& sizes, Random& random, const std::string& prefix) {
  Tensors weights;
  for (const TensorSpec& spec : mla_weight_specs(prefix)) {
    const std::vector<Index> shape = shape_of(spec.shape, sizes);
    const auto inputs = static_cast<double>(std::max<Index>(shape.back(), 1));
    weights[spec.name] =
        shape.size() == 1 ? normals(shape, random, 0.1, 1) : normals(shape, random, 1.5 / std::sqrt(inputs));
  }
  return weights;
}

Var MlaTwin::forward(Var h, std::optional<Var> cache) const {
  const Case& c = t.call;
  const auto in = [&](const char* name) { return t.in(prefix + name); };
  const auto out = [&](const char* name, Var y) { return t.out(prefix + name, y); };
  const Index n_h = whole(c, "n_h"), d_h = whole(c, "d_h"), d_r = whole(c, "d_r"), d_v = whole(c, "d_v");
  const Index d_c = in("kv_norm").cols(), S = cache ? cache->rows() : 0;
  const double eps = c.word("latent_eps") == "eps" ? c.attribute<double>("eps") : 1e-6;
  const Turns table = turns(t, frequencies(t.tape, c, d_r), d_r);

  const Var c_Q = out("c_Q", product(h, in("wq_a")));  // (6)
  const Var c_Q_hat = c.word("latent_norm") == "none" ? c_Q : rms_normalised(c_Q, in("q_norm"), eps);
  const Var kv = product(h, in("wkv_a"));
  const Var c_KV = out("c_KV", columns(kv, 0, d_c));  // (1)
  Var k = columns(kv, d_c, d_r), c_hat = c_KV;
  if (c.word("latent_norm") == "latent") c_hat = rms_normalised(c_KV, in("kv_norm"), eps);
  if (c.word("latent_norm") == "whole") {
    const Var all = beside({c_KV, k});
    const Var root = sqrt((1.0 / static_cast<double>(d_c + d_r)) * row_sums(all * all) + eps);
    c_hat = c_KV / root * in("kv_norm"), k = k / root;
  }
  Var k_R = out("k_R", rotated(c, k, 1, table));  // (3)
  if (cache) {
    const Var all = below({*cache, out("new_cache", beside({c_hat, k_R}))});
    c_hat = columns(all, 0, d_c), k_R = columns(all, d_c, d_r);
  }

  const auto [content, rotary] = softmax_scales(c, d_c);
  const std::string& mask = c.word("causal");
  const auto sees = [&mask, S](Index i, Index j) {
    const Index itself = S + i, last = mask == "not_itself" && itself > 0 ? itself - 1 : itself + (mask == "one_ahead");
    return mask == "no_mask" || (j <= last && (mask != "new_tokens_only" || j >= S));
  };
  std::vector<Var> o;
  for (Index i = 0; i < n_h; ++i) {
    const bool q_per_head = c.word("wq_b_layout") == "per_head", kv_per_head = c.word("wkv_b_layout") == "per_head";
    const Var q_C = product(c_Q_hat, rows(in("wq_b"), part_rows(q_per_head, n_h, i, d_h, d_r, 0)));  // (7)
    const Var q = product(c_Q_hat, rows(in("wq_b"), part_rows(q_per_head, n_h, i, d_h, d_r, 1)));
    const Var q_R = rotated(c, q, 1, table);  // (8)
    const Var W_UK = rows(in("wkv_b"), part_rows(kv_per_head, n_h, i, d_h, d_v, 0));
    const Var W_UV = rows(in("wkv_b"), part_rows(kv_per_head, n_h, i, d_h, d_v, 1));
    const Var q_content = absorbed ? product(q_C, transposed(W_UK)) : q_C;
    const Var k_content = absorbed ? c_hat : product(c_hat, W_UK);  // (2)
    const Var s = content == rotary
                      ? constant(t.tape, content) * product(beside({q_content, q_R}), beside({k_content, k_R}))
                      : constant(t.tape, content) * product(q_content, k_content) +
                            constant(t.tape, rotary) * product(q_R, k_R);  // (4), (9)
    Var p = softmax_rows(where(sees, s, -INFINITY));
    if (c.word("probabilities") == "bf16") p = in_format(p, FormatId::bf16);
    const Var v = absorbed ? c_hat : product(c_hat, W_UV);  // (5)
    const Var mixed = product(p, transposed(v));            // (10)
    o.push_back(absorbed ? product(mixed, W_UV) : mixed);
  }
  return product(out("o", beside(o)), in("wo"));  // (11)
}

bool has_usual_attention(const Case& c) {
  return has_usual_tables(c) && as_usual(c, conventions()) && as_usual(c, rotation_attributes());
}

MlaConfig mla_config(const Case& c, const std::string& prefix) {
  return {.d = c.in(prefix + "wo").shape[0],
          .n_h = whole(c, "n_h"),
          .d_h = whole(c, "d_h"),
          .d_v = whole(c, "d_v"),
          .d_c = c.in(prefix + "kv_norm").shape[0],
          .d_c_prime = c.in(prefix + "q_norm").shape[0],
          .rope = rope_config(c, whole(c, "d_r")),
          .eps = c.attribute<double>("eps")};
}

namespace {

/// Part `part` of every head, from rows that hold both.
Matrix split(const Matrix& joined, Index heads, Index first, Index second, Index part) {
  const Index width = part == 0 ? first : second;
  Matrix out(heads * width, joined.cols());
  for (Index i = 0; i < heads; ++i)
    out.middleRows(i * width, width) = joined.middleRows(i * (first + second) + part * first, width);
  return out;
}

Matrix joined(const Matrix& a, const Matrix& b, Index heads) {
  const Index first = a.rows() / heads, second = b.rows() / heads;
  Matrix out(a.rows() + b.rows(), a.cols());
  for (Index i = 0; i < heads; ++i) {
    out.middleRows(i * (first + second), first) = a.middleRows(i * first, first);
    out.middleRows(i * (first + second) + first, second) = b.middleRows(i * second, second);
  }
  return out;
}

}  // namespace

MlaWeights<Matrix> mla_weights(const Case& c, const std::string& prefix) {
  const auto in = [&](const char* name) { return float_matrix(c.in(prefix + name)); };
  const Index n_h = whole(c, "n_h"), d_h = whole(c, "d_h"), d_r = whole(c, "d_r"), d_v = whole(c, "d_v");
  const Matrix wq_b = in("wq_b"), wkv_a = in("wkv_a"), wkv_b = in("wkv_b");
  return {.W_DQ = in("wq_a"),
          .g_Q = in("q_norm"),
          .W_UQ = split(wq_b, n_h, d_h, d_r, 0),
          .W_QR = split(wq_b, n_h, d_h, d_r, 1),
          .W_DKV = wkv_a.topRows(wkv_a.rows() - d_r),
          .g_KV = in("kv_norm"),
          .W_KR = wkv_a.bottomRows(d_r),
          .W_UK = split(wkv_b, n_h, d_h, d_v, 0),
          .W_UV = split(wkv_b, n_h, d_h, d_v, 1),
          .W_O = in("wo")};
}

Tensors joined_gradients(const Case& c, const MlaWeights<Matrix>& grads) {
  const Index n_h = whole(c, "n_h");
  Matrix wkv_a(grads.W_DKV.rows() + grads.W_KR.rows(), grads.W_DKV.cols());
  wkv_a.topRows(grads.W_DKV.rows()) = grads.W_DKV;
  wkv_a.bottomRows(grads.W_KR.rows()) = grads.W_KR;
  return {{"dwq_a", tensor(grads.W_DQ)},
          {"dq_norm", tensor(grads.g_Q, {grads.g_Q.cols()})},
          {"dwq_b", tensor(joined(grads.W_UQ, grads.W_QR, n_h))},
          {"dwkv_a", tensor(wkv_a)},
          {"dkv_norm", tensor(grads.g_KV, {grads.g_KV.cols()})},
          {"dwkv_b", tensor(joined(grads.W_UK, grads.W_UV, n_h))},
          {"dwo", tensor(grads.W_O)}};
}

Sequences sequence_of(const Case& c) {
  const std::vector<std::int64_t> positions = integers(c.in("positions"));
  Sequences rows;
  rows.add(std::ssize(positions), positions.empty() ? 0 : positions[0]);
  return rows;
}

}  // namespace dsv3::oracle
