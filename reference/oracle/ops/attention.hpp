// SPDX-License-Identifier: MIT
/// \file
/// Multi-head latent attention as a twin, Eqs. (1) to (11), with the weights joined as they are released.
#pragma once
#include "reference/mla/mla.hpp"
#include "reference/oracle/ops/rotary.hpp"

namespace dsv3::oracle {

/// n_h, d_h, d_r, d_v, eps, those of the rotary embedding, and the conventions of attention.
std::vector<AttributeSpec> mla_attributes();
/// wq_a .. wo, as inputs of an op; each name begins with `prefix`.
std::vector<TensorSpec> mla_weight_specs(const std::string& prefix = "");
/// c_Q, c_KV, k_R, o, each name beginning with `prefix`: optional outputs.
std::vector<TensorSpec> mla_activation_specs(const std::string& prefix = "");
Tensors drawn_mla_weights(const Sizes& sizes, Random& random, const std::string& prefix = "");

/// u of the tokens h [T, d], which come after those of the cache [S, d_c + d_r], normalised and rotated; S may be 0.
/// `absorbed`: W_UK and W_UV multiplied into queries and outputs. States the activations and, where there is a cache,
/// the tokens' own rows of it as `new_cache`.
struct MlaTwin {
  Twin& t;
  std::string prefix = {};
  bool absorbed = false;

  Var forward(Var h, std::optional<Var> cache = {}) const;
};

/// Whether the reference has the conventions of the case.
bool has_usual_attention(const Case& c);
/// The layer of the case, and its weights split as the report has them.
MlaConfig mla_config(const Case& c, const std::string& prefix = "");
MlaWeights<Matrix> mla_weights(const Case& c, const std::string& prefix = "");
/// The gradients joined as the weights are released, under the names dwq_a .. dwo.
Tensors joined_gradients(const Case& c, const MlaWeights<Matrix>& grads);

/// The rows of a call, one sequence; demand_attention has seen to that.
Sequences sequence_of(const Case& c);

}  // namespace dsv3::oracle
