// SPDX-License-Identifier: MIT
#include "reference/mtp/mtp.hpp"

#include "reference/linear/linear.hpp"
#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/demands.hpp"
#include "reference/oracle/ops/ops.hpp"
#include "reference/oracle/twin/twin.hpp"

namespace dsv3::oracle {
namespace {

Var normed(Twin& t, const char* x_name, const char* g_name, bool normalises) {
  const Var x = t.in(x_name), g = t.in(g_name);  // without a norm there is no gain either
  return normalises ? rms_normalised(x, g, t.call.attribute<double>("eps")) : x;
}

void twin(Twin& t) {
  const std::string& norms = t.call.word("norms");
  const Var h = normed(t, "h", "g_h", norms == "both" || norms == "hidden");
  const Var e = normed(t, "e", "g_e", norms == "both" || norms == "embedding");
  const bool hidden_first = t.call.word("order") == "hidden_embedding";
  t.out("h_prime", product(hidden_first ? beside({h, e}) : beside({e, h}), t.in("M")));
}

/// An MTP module up to M_k, and its input.
struct Module {
  MtpInput input;
  MtpWeights<Matrix> p;
  Matrix x;

  explicit Module(const Case& c)
      : input{c.word("order") == "hidden_embedding" ? MtpOrder::hidden_embedding : MtpOrder::embedding_hidden,
              {c.attribute<double>("eps")}} {
    p.norm_hidden.g = float_matrix(c.in("g_h")), p.norm_embedding.g = float_matrix(c.in("g_e"));
    p.M = float_matrix(c.in("M"));
    const Matrix h = float_matrix(c.in("h")), e = float_matrix(c.in("e"));
    x.resize(h.rows(), h.cols() + e.cols());
    x.leftCols(h.cols()) = h, x.rightCols(e.cols()) = e;
  }
};

std::optional<Tensors> forward(const Case& c) {
  if (c.word("norms") != "both") return {};
  const Module m(c);
  return Tensors{{"h_prime", tensor(fprop(m.p.M, m.input.forward(m.p, m.x, {})))}};
}

std::optional<Tensors> backward(const Case& c) {
  if (c.word("norms") != "both") return {};
  const Module m(c);
  const Matrix d_h_prime = float_matrix(c.in("dh_prime")), x_normed = m.input.forward(m.p, m.x, {});
  const Index d = d_h_prime.cols();
  Matrix dM = Matrix::Zero(d, 2 * d);
  wgrad(dM, d_h_prime, x_normed);
  auto [dx, hidden, embedding] = m.input.backward(m.p, m.x, dgrad(m.p.M, d_h_prime), {});
  RmsNormWeights<Matrix> dg_h{Matrix::Zero(1, d)}, dg_e = dg_h;
  m.input.norm.backward_weight(std::move(hidden), dg_h, {});
  m.input.norm.backward_weight(std::move(embedding), dg_e, {});
  return Tensors{{"dh", tensor(dx.leftCols(d))},
                 {"de", tensor(dx.rightCols(d))},
                 {"dg_h", tensor(dg_h.g, {d})},
                 {"dg_e", tensor(dg_e.g, {d})},
                 {"dM", tensor(dM)}};
}

Tensors drawn_inputs(const std::string& kind, const Sizes& s, Random& random) {
  const Index T = s.at("T"), d = s.at("d");
  FloatMatrix h = normals(T, d, random), e = normals(T, d, random, 0.02), M = normals(d, 2 * d, random, 0.1);
  if (kind == "sizes") h = rows_of_many_sizes(T, d, random, 12);
  if (kind == "outliers") h = sprinkled(std::move(h), {300.0f, -300.0f}, 50, random);
  if (kind == "small") e *= 1e-2f;
  if (kind == "zeros") set_third_rows_to_zero(e);
  FloatMatrix g_h = gains(d, random), g_e = gains(d, random);
  if (kind == "cancelling") e = h * 1.001f, g_e = g_h, M.rightCols(d) = -M.leftCols(d);
  return {{"h", tensor(h)}, {"e", tensor(e)}, {"g_h", tensor(g_h, {d})}, {"g_e", tensor(g_e, {d})}, {"M", tensor(M)}};
}

TwinOp mtp_input() {
  TwinOp t;
  Op& op = t.op;
  op.name = "mtp_input";
  op.what = "h'_i = M [RMSNorm(h_i); RMSNorm(Emb(t_{i+1}))]: what an MTP module's block reads (Eq. 21)";
  op.contract =
      "Both norms as in `rms_norm`, each with its own gain; one product in FP32, its sum in any order. The report "
      "prints [hidden; embedding]; the released weights (eh_proj of layer 61) read [embedding; hidden]: "
      "order=embedding_hidden.";
  op.inputs = {{"h", plain_floats(), {"T", "d"}, "hidden states of the main model or the module before"},
               {"e", plain_floats(), {"T", "d"}, "embeddings of the next tokens"},
               {"g_h", plain_floats(), {"d"}, "gain of the hidden states' norm (hnorm)"},
               {"g_e", plain_floats(), {"d"}, "gain of the embeddings' norm (enorm)"},
               {"M", plain_floats(), {"d", "2*d"}, "the projection (eh_proj)"}};
  op.outputs = {{"h_prime", {Dtype::f32}, {"T", "d"}, "projected"}};
  op.attributes = {convention("order", {"hidden_embedding", "embedding_hidden"}, "of the halves that M reads"),
                   convention("norms", {"both", "none", "hidden", "embedding"}, "which halves are normalised"),
                   {.name = "eps",
                    .fallback = 1e-6,
                    .what = "of both norms",
                    .least = 0,
                    .most = 1,
                    .convention = true,
                    .others = {1e-5, 1e-6, 1e-8}}};
  const Sizes sizes{{"T", 8}, {"d", 48}};
  op.kinds = {{"ordinary", "hidden states N(0, 1), embeddings N(0, 0.02^2)", sizes},
              {"ragged", "an odd width", {{"T", 3}, {"d", 31}}},
              {"small", "embeddings N(0, 0.0002^2): eps counts", sizes},
              {"sizes", "hidden states 2^-12 to 2^12 times as large", sizes},
              {"outliers", "one channel in 50 is 300 times larger", sizes},
              {"zeros", "every third embedding is zero", sizes},
              {"cancelling", "the halves of M cancel what they read", sizes}};
  op.draw = by_kind_and_sizes(drawn_inputs);
  op.demands = [](const Case& c) { demand_at_least(c, "d", 1); };
  t.twin = twin;
  t.forward = forward;
  t.gradients = {"h", "e", "g_h", "g_e", "M"};
  t.backward = backward;
  t.backward_contract =
      "dM = dh'^T [..] and the gradient M^T dh' of the halves, each handed through its norm as in rms_norm_backward; "
      "FP32, sums in any order.";
  return t;
}

}  // namespace

std::vector<Op> mtp_ops() { return ops_of(mtp_input()); }

}  // namespace dsv3::oracle
