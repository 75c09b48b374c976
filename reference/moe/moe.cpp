// SPDX-License-Identifier: MIT
#include "reference/moe/moe.hpp"

#include "reference/core/threads.hpp"
#include "reference/linear/linear.hpp"

namespace dsv3 {
namespace {

constexpr SwigluFfn ffn;

/// The gate, with what it decided shown.
Routing route_tokens(const GateConfig& config, const MoeWeights<Matrix>& p, const Matrix& u, const Context& context) {
  const Matrix logits = fprop(p.e, u);  // u_t . e_i of Eq. (15)
  context.show("router_logits", logits);
  Routing routing = route_logits(config, logits, p.b);
  if (context.tap) {
    context.show("topk_experts", routing.experts.cast<real>());
    context.show("topk_weights", routing.g);
    context.show("selection_margin", routing.margin);
  }
  return routing;
}

/// What a routed expert runs in: its tokens come through dispatch.
Context routed(Context context) {
  context.dispatched = true;
  return context;
}

/// f(expert) for every expert that has tokens, on all threads.
template <class F>
void for_each_busy_expert(const Dispatch& dispatch, const F& f) {
  parallel_for(static_cast<Index>(dispatch.expert_begin.size()) - 1, [&](Index i) {
    if (dispatch.rows(i) > 0) f(i);
  });
}

Eigen::Block<Matrix, Eigen::Dynamic, Eigen::Dynamic, true> rows_of(Matrix& rows, const Dispatch& dispatch,
                                                                   Index expert) {
  return rows.middleRows(dispatch.expert_begin[expert], dispatch.rows(expert));
}

Matrix scale_rows(Matrix rows, const Matrix& weights) {
  rows.array().colwise() *= weights.col(0).array();
  return rows;
}

/// dg_{i,t} = <z, W_down^T dh'>, with dz the latter, for the rows of an expert.
void set_weight_gradients(Matrix& dg, const Dispatch& dispatch, Index expert, const Matrix& z, const Matrix& dz) {
  const Index begin = dispatch.expert_begin[expert];
  for (Index r = 0; r < z.rows(); ++r)
    dg(dispatch.token_of_row[begin + r], dispatch.slot_of_row[begin + r]) = z.row(r).cwiseProduct(dz.row(r)).sum();
}

void require_ffn(const SwigluWeights<Matrix>& w, Index d, Index f) {
  const auto needed = swiglu_shapes(d, f);
  require(shape_of(w.W_gate) == needed.W_gate && shape_of(w.W_up) == needed.W_up && shape_of(w.W_down) == needed.W_down,
          "Moe", "an FFN has W_gate ", shape_text(w.W_gate), ", W_up ", shape_text(w.W_up), " and W_down ",
          shape_text(w.W_down), "; it needs ", text(needed.W_gate), ", the same and ", text(needed.W_down));
}

void require_experts(const MoeConfig& config, const MoeWeights<Matrix>& weights) {
  require(static_cast<Index>(weights.experts.size()) == config.gate.N_r, "Moe", "the weights have ",
          weights.experts.size(), " experts; the configuration has ", config.gate.N_r);
  for (const auto& expert : weights.experts) require_ffn(expert, config.d, config.d_expert);
}

}  // namespace

void validate(const MoeConfig& c) {
  const auto check = [](bool ok, const auto&... what) { require(ok, "MoeConfig", what...); };
  check(c.d >= 1, "d is ", c.d, "; it must be at least 1");
  check(c.gate.N_r >= 0, "N_r is ", c.gate.N_r, "; it must be 0 (dense) or more");
  const bool dense = c.gate.N_r == 0;
  check(c.d_shared >= (dense ? 1 : 0), "d_shared is ", c.d_shared, "; it must be at least ", dense ? 1 : 0);
  if (dense) return;
  check(c.d_expert >= 1, "d_expert is ", c.d_expert, "; it must be at least 1");
  validate(c.gate);
}

MoeWeights<Shape> moe_shapes(const MoeConfig& c) {
  validate(c);
  MoeWeights<Shape> shapes;
  shapes.shared = swiglu_shapes(c.d, c.d_shared);
  if (c.gate.N_r == 0) return shapes;
  shapes.e = {c.gate.N_r, c.d};
  if (c.gate.has_bias) shapes.b = {1, c.gate.N_r};
  shapes.experts.assign(c.gate.N_r, swiglu_shapes(c.d, c.d_expert));
  return shapes;
}

Moe::Moe(const MoeConfig& moe_config) : config(moe_config) { validate(config); }

Forward<Moe::Stored> Moe::forward(const Params& p, const Matrix& u, const Context& context) const {
  require_ffn(p.shared, config.d, config.d_shared);
  require_experts(config, p);
  auto [h_prime, shared] = ffn.forward(p.shared, u, context);
  Stored stored;
  stored.shared = std::move(shared);
  if (config.gate.N_r == 0) return {std::move(h_prime), std::move(stored)};

  stored.routing = route_tokens(config.gate, p, u, context);
  stored.dispatch = sort_by_expert(stored.routing.experts, config.gate.N_r);
  stored.experts.resize(config.gate.N_r);
  Matrix y(stored.dispatch.rows(), config.d);
  const Context of_expert = routed(context);
  for_each_busy_expert(stored.dispatch, [&](Index i) {
    auto [y_i, ab] = ffn.forward(p.experts[i], gather(u, stored.dispatch.tokens(i)), of_expert);
    rows_of(y, stored.dispatch, i) = y_i;
    stored.experts[i] = std::move(ab);
  });
  add_combined(h_prime, stored.dispatch, stored.routing.g, y);  // Eq. (12): h' += sum_i g_i y_i

  if (context.balance.alpha != 0) {
    Balance balance = balance_loss(config.gate, stored.routing, context.sequences, context.balance);
    stored.balance_loss = balance.loss;
    stored.balance_f = std::move(balance.f);
  }
  return {std::move(h_prime), std::move(stored)};
}

Moe::Recomputed Moe::recompute(const Params& p, const Stored& stored, const Matrix& u, const Context& context) const {
  Recomputed recomputed{std::vector<SwigluFfn::Recomputed>(stored.experts.size())};
  for_each_busy_expert(stored.dispatch, [&](Index i) {  // z comes from a and b alone: u is not gathered for it
    recomputed.experts[i] = ffn.recompute(p.experts[i], stored.experts[i], u, context);
  });
  return recomputed;
}

Moe::RoutedGradient Moe::backward_experts(const Params& p, Stored& stored, const Matrix& u, const Matrix& dh,
                                          const Context& context) const {
  const Dispatch& dispatch = stored.dispatch;
  const Context of_expert = routed(context);
  Recomputed recomputed = recompute(p, stored, u, context);
  RoutedGradient out{Matrix(dispatch.rows(), config.d), Matrix(u.rows(), config.gate.K_r),
                     std::vector<Expert>(config.gate.N_r)};
  for_each_busy_expert(dispatch, [&](Index i) {
    const SwigluWeights<Matrix>& w = p.experts[i];
    Matrix z = std::move(recomputed.experts[i].z);
    Matrix dz = dgrad(w.W_down, gather(dh, dispatch.tokens(i)), arriving(of_expert));  // y = W_down z
    set_weight_gradients(out.dg, dispatch, i, z, dz);                                  // h' += g y
    dz = scale_rows(std::move(dz), gather_weights(dispatch, stored.routing.g, i));
    auto [da, db] = swiglu_backward(std::move(stored.experts[i]), dz);  // z = silu(a) * b
    auto du_i = rows_of(out.du_rows, dispatch, i);
    du_i = dgrad(w.W_gate, da, context.precision);  // a = W_gate u
    du_i += dgrad(w.W_up, db, context.precision);   // b = W_up u
    const Precision of_w = arriving(of_expert);
    out.experts[i] = {keep_x(w.W_down, std::move(z), of_w), keep_dy(w.W_gate, std::move(da), of_w),
                      keep_dy(w.W_up, std::move(db), of_w)};
  });
  return out;
}

Backward<Moe::Deferred> Moe::backward_input(const Params& p, Stored&& stored, Matrix&& u, Matrix&& dh,
                                            const Context& context) const {
  if (config.gate.N_r == 0) {
    auto [du, shared] = ffn.backward_input(p.shared, std::move(stored.shared), std::move(u), std::move(dh), context);
    return {std::move(du), {std::move(shared), {}, {}, {}, {}, {}, {}}};
  }
  require(shape_of(dh) == shape_of(u), "Moe", "dh is ", shape_text(dh), " but u is ", shape_text(u),
          "; they need the same shape");
  require(u.rows() == stored.routing.g.rows(), "Moe", "u is ", shape_text(u), " but the forward pass had ",
          stored.routing.g.rows(), " tokens");
  auto [du_rows, dg, experts] = backward_experts(p, stored, u, dh, context);
  Matrix ds;
  if (stored.balance_f.size() > 0)
    ds = balance_backward(stored.routing, context.sequences, context.balance, stored.balance_f);
  Matrix dlogits = gate_backward(config.gate, stored.routing, dg, std::move(ds));
  const Matrix du_gate = dgrad(p.e, dlogits);  // logits = e u

  const bool codes = context.precision == Precision::fp8;
  Matrix u_read = codes ? u : Matrix{}, dh_read = codes ? dh : Matrix{};
  auto [du, shared] = ffn.backward_input(p.shared, std::move(stored.shared), std::move(u), std::move(dh), context);
  add_scattered(du, stored.dispatch, du_rows);
  du += du_gate;
  return {std::move(du),
          {std::move(shared), std::move(u_read), std::move(dh_read), std::move(stored.routing.g), std::move(dlogits),
           std::move(stored.dispatch), std::move(experts)}};
}

void Moe::backward_weight(Deferred&& deferred, Params& grads, const Context& context) const {
  require_experts(config, grads);
  const Dispatch& dispatch = deferred.dispatch;
  const Context of_expert = routed(context);
  const Precision of_w = arriving(of_expert);
  const bool codes = deferred.shared.u.codes() != nullptr;
  Matrix u_space, dh_space;  // not used: what is not in codes is read where it is
  const Matrix& u = codes ? deferred.u : deferred.shared.u.read(u_space);
  const Matrix& dh = codes ? deferred.dh : deferred.shared.dh.read(dh_space);
  for_each_busy_expert(dispatch, [&](Index i) {
    SwigluWeights<Matrix>& dW = grads.experts[i];
    auto& [z, da, db] = deferred.experts[i];
    const auto tokens = dispatch.tokens(i);
    Matrix dh_i = scale_rows(gather(dh, tokens), gather_weights(dispatch, deferred.g, i));
    ffn.backward_weight({keep_x(dW.W_gate, gather(u, tokens), of_w), std::move(z),
                         keep_dy(dW.W_down, std::move(dh_i), of_w), std::move(da), std::move(db)},
                        dW, of_expert);
  });
  if (config.gate.N_r > 0) wgrad(grads.e, deferred.dlogits, u);
  ffn.backward_weight(std::move(deferred.shared), grads.shared, context);
}

Matrix Moe::infer(const Params& p, const Matrix& u, const ExpertSource& expert, const Context& context) const {
  require_ffn(p.shared, config.d, config.d_shared);
  Matrix h_prime = ffn.forward(p.shared, u, context).y;
  if (config.gate.N_r == 0) return h_prime;
  const Routing routing = route_tokens(config.gate, p, u, context);
  const Dispatch dispatch = sort_by_expert(routing.experts, config.gate.N_r);
  Matrix y(dispatch.rows(), config.d);
  const Context of_expert = routed(context);
  for (Index i = 0; i < config.gate.N_r; ++i) {
    if (dispatch.rows(i) == 0) continue;
    const SwigluWeights<Matrix>& w = expert(i);
    require_ffn(w, config.d, config.d_expert);
    rows_of(y, dispatch, i) = ffn.forward(w, gather(u, dispatch.tokens(i)), of_expert).y;
  }
  add_combined(h_prime, dispatch, routing.g, y);
  return h_prime;
}

}  // namespace dsv3
